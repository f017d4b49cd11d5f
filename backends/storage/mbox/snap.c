/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: its items, and the file it was taken from. */
#include "snap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void
snap_free(struct snap *s)
{
	free(s->items);
	*s = (struct snap){0};
}

bool
snap_room(struct snap *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 64;
	struct item *more;

	while (cap < n)
		cap *= 2;
	if (cap == s->cap)
		return true;
	more = realloc(s->items, cap * sizeof(*more));
	if (!more)
		return false;
	s->items = more;
	s->cap = cap;
	return true;
}

bool
snap_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}
