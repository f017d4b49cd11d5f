/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena - memory that dies together: one per session, one per command.
 *
 * Threads: none of its own; an arena belongs to one owner at a time.
 */
#ifndef RST_BASE_ARENA_H
#define RST_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used;  /* bytes handed out since the last reset */
	size_t limit; /* hard maximum of `used` */
};

/* No memory is taken before the first allocation. */
void arena_init(struct arena *a, size_t limit);

/* n bytes, zeroed, aligned for any type; NULL: no memory, or over the limit. n = 0 is fine. */
void *arena_alloc(struct arena *a, size_t n);

/* n * size with an overflow check. */
void *arena_array(struct arena *a, size_t n, size_t size);

/* A NUL-terminated copy of n bytes. */
char *arena_dup(struct arena *a, const char *p, size_t n);

/* Wipes and gives back everything; the arena can be used again. */
void arena_reset(struct arena *a);

#endif
