/* SPDX-License-Identifier: Apache-2.0 */
/*
 * way - the directories and links a path leads through. An account that may change one of them
 * decides where the path leads, even between two calls that name it. So root asks here first: as
 * long as root alone may change the way, it may use the name; from the first directory on that
 * belongs to another account, it must use the name with that account's rights (privs_as). Then no
 * link opens anything that was closed to that account.
 */
#ifndef RST_WAY_H
#define RST_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct way {
	uid_t uid;      /* with whose rights to use the path: 0 or the first other owner */
	struct stat st; /* of its end; zeroed: there is nothing */
};

enum way_end {
	WAY_DIR, /* a directory that nobody else may write to */
	WAY_ANY, /* anything, or nothing: only the way to it is judged */
};

/*
 * Follows `path` to its end, from descriptor to descriptor, each step once.
 *
 * As root, all directories and links on the way must belong to root or to one of the n users in
 * `may` (n = 0: to anybody), and nobody else may write to them, except where the sticky bit
 * protects each owner's files. Not root: there are no rights to lend, so only the end is judged; it
 * may be our own as well.
 *
 * False: err names the directory, and what to do about it.
 */
bool way_follow(const char *path, enum way_end end, const uid_t *may, size_t n, struct way *ret,
		char *err, size_t errlen);

#endif
