/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privs - from root to the service user, once, before any module is loaded. Main thread, before
 * others exist.
 */
#ifndef RST_PRIVS_H
#define RST_PRIVS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The account of that name. False: the reason is in err. */
bool privs_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, char *err, size_t errlen);

/* Root acts as another user until privs_back: without its own rights, and without its groups. Not
 * root, or uid 0: nothing happens. False: the reason is in err, and nothing has changed. */
bool privs_as(uid_t uid, char *err, size_t errlen);
/* Leaves errno alone. */
void privs_back(void);

/* open(2); as root with the rights of the account that may change the way (base/way.h). -1: the
 * reason is in err. */
int privs_open(const char *path, int flags, char *err, size_t errlen);

/* Makes a directory of mode 0700 that belongs to `user` (NULL or not root: to the invoking one),
 * unless it exists; an existing one must be that user's, and nobody else may write to it. False:
 * the reason is in err. */
bool privs_make_dir(const char *path, const char *user, char *err, size_t errlen);

/* Started as root: becomes `user` with its groups, for good. Then `user` is required, and must not
 * be root itself. Not root: nothing happens. False: the reason is in err. */
bool privs_drop(const char *user, char *err, size_t errlen);

/* Are we this user? False also when there is no such account. */
bool privs_is(const char *user);

/* Raises the soft limit of open files to `wanted`, as far as the hard limit allows. */
void privs_raise_files(size_t wanted);

#endif
