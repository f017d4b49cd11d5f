/* SPDX-License-Identifier: Apache-2.0 */
/*
 * way - the directories and links a path leads through. Whoever may change one of them decides
 * where the path leads, also between two calls that name it. So root asks here first: as long as
 * root alone may change the way, it may use the name; from the first directory on that is somebody
 * else's it must use the name with that account's rights (privs_as), and then no link opens
 * anything that was closed.
 */
#ifndef RST_WAY_H
#define RST_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct way {
	uid_t uid;      /* with whose rights the path is to be used: 0 or the first other owner's */
	struct stat st; /* of its end, as it was found; zeroed: there is none */
};

enum way_end {
	WAY_DIR, /* a directory that nobody else may write to */
	WAY_ANY, /* whatever is there, or nothing: only the way to it is judged */
};

/*
 * Follows `path` to its end, from descriptor to descriptor, each step once.
 *
 * As root all directories and links on the way must be root's or belong to one of the n users in
 * `may` (n = 0: to anybody), and nobody else may write to them, but where the sticky bit keeps one
 * from another's files. Not root: there are no rights to lend, so only the end is judged; it may be
 * our own as well.
 *
 * False: which directory, and what to do about it, is in err.
 */
bool way_follow(const char *path, enum way_end end, const uid_t *may, size_t n, struct way *ret,
		char *err, size_t errlen);

#endif
