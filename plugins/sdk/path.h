/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path - the path of a user's mail, from a template: %u name, %n local part, %d domain, %k mailbox
 * key, %h home.
 *
 * A value from outside may hold no slash, no NUL and no leading dot, and files are opened beneath
 * the template's fixed part without following links: a name can never leave it. %h alone may be a
 * whole path: the account's home, which the administrator wrote. Any thread.
 */
#ifndef SDK_PATH_H
#define SDK_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

/* Checks a template, and reports the trouble with setting `key`; PM_OK or PM_INVALID. */
int32_t sdk_path_check(const struct pm_open *open, const char *key);
/* The fixed part of a template, up to its last slash; malloc'd; NULL: no memory. */
char *sdk_path_prefix(const char *pattern);
/* Makes the path of this user. PM_PERM with a text: there can be none. */
int32_t sdk_path_make(const char *pattern, const struct pm_call *call, const struct pm_user *u,
		      char *buf, size_t cap);
/* The part of `path` beneath the prefix (its directory is *ret_root), or, of a home elsewhere,
 * beneath "/". */
const char *sdk_path_below(const char *path, const char *prefix, const char **ret_root);
/* For box_place(): the part of this user's path that exists, by device and inode, whatever links or
 * mounts lead there, and the rest. */
int32_t sdk_path_place(const char *pattern, const struct pm_call *call, const struct pm_user *u,
		       struct pm_str *ret);
/* Opens with openat2(2) beneath `root`, following no link; -1 and errno. */
int sdk_open_beneath(int root, const char *path, int flags, unsigned mode);

#endif
