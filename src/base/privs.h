/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privs - from root to the service user, once, before any module is loaded. Main thread, before others
 * exist.
 */
#ifndef RST_PRIVS_H
#define RST_PRIVS_H

#include <stdbool.h>
#include <stddef.h>

/* Makes a directory of mode 0700 that belongs to `user` (NULL or not root: to the invoking one),
 * unless it is there. False: why is in err. */
bool privs_make_dir(const char *path, const char *user, char *err, size_t errlen);

/* Started as root: becomes `user` with its groups, for good. `user` is required then, and must not be
 * root itself. Not root: nothing happens. False: why is in err. */
bool privs_drop(const char *user, char *err, size_t errlen);

/* Are we this user? False also when there is no such account. */
bool privs_is(const char *user);

/* Raises the soft limit of open files to what `wanted` needs, as far as the hard limit allows. */
void privs_raise_files(size_t wanted);

#endif
