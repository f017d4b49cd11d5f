/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote - file systems that others serve: NFS, SMB, FUSE, cluster file systems. There a lock may
 * hold for this host alone, and a directory may look as it was a minute ago. What is below an
 * overlay cannot be told. Any thread.
 */
#ifndef SDK_REMOTE_H
#define SDK_REMOTE_H

#include <stdint.h>

/* The name of the remote file system that this descriptor is on. NULL: it is on a local one, or
 * nobody can tell. */
const char *sdk_remote_fs(int fd);
/* The same of the number that statfs(2) gives as f_type. */
const char *sdk_remote_name(uint32_t type);

#endif
