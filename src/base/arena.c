/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of blocks, newest first. Small requests share a block, a large one gets its own. Memory
 * is wiped before it is freed: sessions keep names and, for a moment, passwords here.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define BLOCK_MIN 496 /* with its head and malloc's: half a KiB */
#define ALIGN _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t cap, used;
	_Alignas(max_align_t) unsigned char data[];
};

void
arena_init(struct arena *a, size_t limit)
{
	a->blocks = NULL;
	a->used = 0;
	a->limit = limit;
}

static struct arena_block *
arena_block_new(struct arena *a, size_t need)
{
	size_t cap = need > BLOCK_MIN ? need : BLOCK_MIN;
	struct arena_block *b = malloc(sizeof(*b) + cap);

	if (!b)
		return NULL;
	b->cap = cap;
	b->used = 0;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t need;
	void *p;

	if (n > SIZE_MAX - ALIGN)
		return NULL;
	need = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (need > a->limit - a->used)
		return NULL;
	if (!b || b->cap - b->used < need) {
		b = arena_block_new(a, need);
		if (!b)
			return NULL;
	}
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	memset(p, 0, need);
	return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

char *
arena_dup(struct arena *a, const char *p, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (copy && n > 0)
		memcpy(copy, p, n);
	return copy;
}

void
arena_reset(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		secret_wipe(b->data, b->used);
		free(b);
	}
	a->used = 0;
}
