/* SPDX-License-Identifier: Apache-2.0 */
/* path_fit - from the name of a file back to the name of a user: a path template read backwards. */
#ifndef SDK_PATH_FIT_H
#define SDK_PATH_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

#define FIT_LETTERS 5 /* u n d k, and one for %h */

/* The values of the template's letters on the way down; parts of the names that were passed. */
struct fit {
	struct pm_str of[FIT_LETTERS];
};

/* Fits `name` to one component of a template, `pattern` up to `end`, and notes the values of the
 * letters. The first letter of two takes as little as it can. */
bool fit_name(const char *pattern, const char *end, const char *name, size_t n, struct fit *ret);
/* Writes the mailbox key of these values; its length. 0: they name nobody. */
size_t fit_key(const struct fit *f, char key[PM_KEY_MAX]);

#endif
