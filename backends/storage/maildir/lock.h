/* SPDX-License-Identifier: Apache-2.0 */
/* lock - the lock of a session, and that of an import. fd: the maildir. */
#ifndef MAILDIR_LOCK_H
#define MAILDIR_LOCK_H

#include "maildir.h"

struct lock {
	int dir, file; /* -1: none */
};

/* 0; EWOULDBLOCK: somebody has it; another errno. The session's lock goes with fd and *ret_file,
 * which is -1 if there is no such file. */
int lock_session(const struct inst *i, int fd, int *ret_file);
/* Held by an import from its look to the rename. It goes with lock_release(). */
int lock_imports(const struct inst *i, int fd, struct lock *ret);
void lock_release(struct lock *l);
/* Removes the files of a maildir that is removed. */
void lock_remove(int fd);
/* Logs once for the section that a mailbox is on a remote file system. */
void lock_tell_remote(struct inst *i, int fd);

#endif
