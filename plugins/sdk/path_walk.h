/* SPDX-License-Identifier: Apache-2.0 */
/* path_walk - one walk through the directories of a template, in slices, which keeps the keys that
 * come next after a cursor: a window of the sorted list. One caller at a time. */
#ifndef SDK_PATH_WALK_H
#define SDK_PATH_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "path_list.h"

#define SUM 16 /* bytes of the hash of a key; the list has its order */

struct found {
	unsigned char sum[SUM];
	size_t n;
	char *key;
};

struct walk; /* path_walk.c */

/* A walk for the `window` smallest keys after this sum (NULL: from the start) below the directory
 * `fd`, which it takes. NULL: no memory. */
struct walk *walk_new(int fd, const char *below, const unsigned char *after, size_t window,
		      uint64_t number);
void walk_free(struct walk *w);

/* PM_OK: the window is full, or the tree was walked; PM_AGAIN; PM_TEMP with a text, PM_NOMEM. */
int32_t walk_slice(struct walk *w, const struct pm_host *host, const struct pm_call *call,
		   sdk_is_box is_box);
uint64_t walk_number(const struct walk *w); /* as it was given to walk_new */
bool walk_is_done(const struct walk *w);
/* True if the walk is for the keys after this sum. */
bool walk_is_after(const struct walk *w, const unsigned char *after);
/* Of a walk that is done: the keys after this sum, *ret_n of them; false: there may be more of them
 * than it kept, and fewer than n are here, or they lie before its window. */
bool walk_has(const struct walk *w, const unsigned char *after, size_t n, const struct found **ret,
	      size_t *ret_n);

#endif
