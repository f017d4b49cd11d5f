/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of mailboxes that nobody has changed since: reading the directories is most of the cost
 * of a poll. A snapshot has one owner, so taking it out moves a pointer; the session lock ensures
 * that no two sessions want the same one. The cache is bounded by messages; the least recently used
 * snapshot goes.
 */
#include "cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "snap.h"

struct cached {
	UT_hash_handle hh; /* oldest first */
	struct box_key key;
	struct snap *snap;
};

struct cache {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct cached *all;
	uint64_t messages, max;
};

#define PER_BOX 16 /* an empty mailbox takes memory, too */

struct cache *
cache_new(uint64_t max_messages)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->mutex, NULL);
	c->max = max_messages;
	return c;
}

/* Under the mutex. */
static void
cache_drop(struct cache *c, struct cached *e)
{
	HASH_DEL(c->all, e);
	c->messages -= e->snap->n + PER_BOX;
	snap_free(e->snap);
	free(e);
}

void
cache_free(struct cache *c)
{
	struct cached *e, *next;

	if (!c)
		return;
	HASH_ITER (hh, c->all, e, next)
		cache_drop(c, e);
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

struct snap *
cache_take(struct cache *c, const struct snap *now)
{
	struct box_key k = snap_key(now);
	struct snap *s = NULL;
	struct cached *e;

	pthread_mutex_lock(&c->mutex);
	HASH_FIND(hh, c->all, &k, sizeof(k), e);
	if (e) {
		s = e->snap;
		HASH_DEL(c->all, e);
		c->messages -= s->n + PER_BOX;
	}
	pthread_mutex_unlock(&c->mutex);
	free(e);
	if (s && !snap_unchanged(s, now)) {
		snap_free(s);
		s = NULL;
	}
	return s;
}

void
cache_give(struct cache *c, struct snap *s)
{
	struct cached *e = s->settled && s->n + PER_BOX <= c->max ? calloc(1, sizeof(*e)) : NULL,
		      *old, *next;

	if (!e) {
		snap_free(s);
		return;
	}
	e->key = snap_key(s);
	e->snap = s;
	pthread_mutex_lock(&c->mutex);
	HASH_FIND(hh, c->all, &e->key, sizeof(e->key), old);
	if (old)
		cache_drop(c, old);
	c->messages += s->n + PER_BOX;
	HASH_ADD(hh, c->all, key, sizeof(e->key), e);
	HASH_ITER (hh, c->all, old, next) {
		if (c->messages <= c->max)
			break;
		cache_drop(c, old);
	}
	pthread_mutex_unlock(&c->mutex);
}
