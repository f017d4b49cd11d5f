/* SPDX-License-Identifier: Apache-2.0 */
/* trust - may this file be loaded into the process? Private to plugins/host. */
#ifndef PM_HOST_TRUST_H
#define PM_HOST_TRUST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * path is absolute and real. The file, and every directory above it, must belong to root or to the
 * effective user and must not be writable by group or others. A sticky directory (/tmp) may be
 * writable: nobody else can replace our files in it. Access lists that give others more than the
 * mode shows are the administrator's business. False: err tells who may write to which of them, and
 * the command that mends it.
 */
bool host_trust(const char *path, char *err, size_t errlen);

#endif
