/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64 /* octets of a cache line */

struct block {
	_Alignas(LINE) _Atomic uint64_t n[STAT_MAX];
	struct block *next; /* never changes once it is listed */
};

static _Atomic(struct block *) blocks;
static _Thread_local struct block *mine;
static struct block shared; /* of threads that found no memory for a block */

#define STAT_ROW(id, family, help, ...) [STAT_##id] = {family, help, {__VA_ARGS__}},
static const struct stat_row rows[STAT_MAX] = {STATS(STAT_ROW)};

/* The thread's block, made with its first count. */
static struct block *
stats_block_new(void)
{
	struct block *b = aligned_alloc(LINE, (sizeof(*b) + LINE - 1) / LINE * LINE);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
		;
	return b;
}

void
stat_add(enum stat_id id, uint64_t n)
{
	if (!mine && !(mine = stats_block_new())) {
		atomic_fetch_add_explicit(&shared.n[id], n, memory_order_relaxed);
		return;
	}
	/* one writer, and nobody decides anything by the sums: order does not matter */
	atomic_store_explicit(&mine->n[id],
			      atomic_load_explicit(&mine->n[id], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

uint64_t
stat_get(enum stat_id id)
{
	uint64_t sum = atomic_load_explicit(&shared.n[id], memory_order_relaxed);

	for (const struct block *b = atomic_load(&blocks); b; b = b->next)
		sum += atomic_load_explicit(&b->n[id], memory_order_relaxed);
	return sum;
}

const struct stat_row *
stat_row(enum stat_id id)
{
	return &rows[id];
}

#define PREFIX "restante_"
#define SUFFIX "_total"

const char *
stat_name(enum stat_id id, char buf[STAT_NAME_MAX])
{
	const struct stat_row *r = &rows[id], *first = r;
	int n;

	while (!first->family)
		first--; /* the first row has one */
	n = snprintf(buf, STAT_NAME_MAX, "%.*s",
		     (int)(strlen(first->family) - strlen(PREFIX SUFFIX)),
		     first->family + strlen(PREFIX));
	for (size_t i = 0; i < STAT_LABELS && r->labels[i].key; i++)
		n += snprintf(buf + n, STAT_NAME_MAX - (size_t)n, "_%s", r->labels[i].value);
	return buf;
}
