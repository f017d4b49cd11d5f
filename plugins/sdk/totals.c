/* SPDX-License-Identifier: Apache-2.0 */
#include "totals.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define MOST 16384 /* mailboxes */
#define BELIEVED_MS (10 * 60 * 1000)
#define TICK_MS 20     /* of a file system that tells parts of seconds, */
#define SECOND_MS 2000 /* and of one that does not */

struct total {
	UT_hash_handle hh; /* by the look's first words; oldest first */
	struct sdk_look look;
	int64_t counted_ms;
	struct pm_stat stat;
};

struct sdk_totals {
	const struct pm_host *host;
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct total *all;
};

#define KEY_BYTES (SDK_LOOK_BOX * sizeof(uint64_t))

struct sdk_totals *
sdk_totals_new(const struct pm_host *host)
{
	struct sdk_totals *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->host = host;
	pthread_mutex_init(&t->mutex, NULL);
	return t;
}

/* Under the mutex. */
static void
drop(struct sdk_totals *t, struct total *e)
{
	HASH_DEL(t->all, e);
	free(e);
}

static struct total *
find(struct sdk_totals *t, const struct sdk_look *look)
{
	struct total *e;

	HASH_FIND(hh, t->all, look->word, KEY_BYTES, e);
	return e;
}

static bool
same(const struct sdk_look *a, const struct sdk_look *b)
{
	return memcmp(a->word, b->word, sizeof(a->word)) == 0;
}

void
sdk_totals_free(struct sdk_totals *t)
{
	struct total *e, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->all, e, next)
	drop(t, e);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

bool
sdk_totals_used(struct sdk_totals *t)
{
	bool used;

	pthread_mutex_lock(&t->mutex);
	used = t->all != NULL;
	pthread_mutex_unlock(&t->mutex);
	return used;
}

bool
sdk_totals_get(struct sdk_totals *t, const struct sdk_look *now, struct pm_stat *ret)
{
	int64_t now_ms = t->host->now_ms(t->host->ctx);
	struct total *e;
	bool good;

	pthread_mutex_lock(&t->mutex);
	e = find(t, now);
	good = e && same(&e->look, now) && (e->look.at_rest || !now->at_rest) &&
	       now_ms - e->counted_ms < BELIEVED_MS;
	if (good) {
		uint32_t size = ret->size;

		*ret = e->stat;
		ret->size = size;
	} else if (e) {
		drop(t, e);
	}
	pthread_mutex_unlock(&t->mutex);
	return good;
}

void
sdk_totals_put(struct sdk_totals *t, const struct sdk_look *before, const struct pm_stat *s)
{
	struct total *e = calloc(1, sizeof(*e)), *old;

	if (!e)
		return; /* counted again next time */
	e->look = *before;
	e->stat = *s;
	e->counted_ms = t->host->now_ms(t->host->ctx);
	pthread_mutex_lock(&t->mutex);
	old = find(t, before);
	if (old)
		drop(t, old);
	if (HASH_COUNT(t->all) >= MOST)
		drop(t, t->all);
	HASH_ADD(hh, t->all, look.word, KEY_BYTES, e);
	pthread_mutex_unlock(&t->mutex);
}

void
sdk_totals_add(struct sdk_totals *t, const struct sdk_look *before, const struct sdk_look *after,
	       uint64_t octets)
{
	struct total *e;

	pthread_mutex_lock(&t->mutex);
	e = find(t, before);
	if (e && after && same(&e->look, before)) {
		memcpy(e->look.word, after->word,
		       sizeof(e->look.word)); /* the counting's rest is as it was */
		e->stat.count++;
		e->stat.octets += octets;
		e->stat.last_delivery_ms = t->host->wall_ms(t->host->ctx) / 1000 * 1000;
	} else if (e) {
		drop(t, e);
	}
	pthread_mutex_unlock(&t->mutex);
}

bool
sdk_at_rest(const struct pm_host *host, struct timespec mtime)
{
	int64_t age_ms =
		host->wall_ms(host->ctx) - ((int64_t)mtime.tv_sec * 1000 + mtime.tv_nsec / 1000000);

	return age_ms >= (mtime.tv_nsec == 0 ? SECOND_MS : TICK_MS);
}
