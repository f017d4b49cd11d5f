/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry per (name, address key) for penalties and one per name for logins in flight, both in
 * uthash tables with a keyed hash: names and addresses are chosen by strangers. A shard is full at
 * SHARD_MAX entries; then the oldest that is not in flight gives way, so a flood of names costs
 * bounded memory.
 */
#include "account/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)secret_hash(keyptr, keylen))
#include <uthash.h>

#define SHARDS 16
#define SHARD_MAX 4096
#define FORGET_MS 300000 /* after the last failure */

struct entry {
	UT_hash_handle hh; /* insertion order: oldest first */
	int64_t last_ms;
	int64_t next_ms; /* earliest next attempt */
	unsigned failures;
	unsigned in_flight;
	size_t n;
	char key[];
};

static struct shard {
	pthread_mutex_t mutex;
	struct entry *entries; /* under mutex */
} shards[SHARDS];

void
guard_init(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards[i].mutex, NULL);
}

void
guard_fini(void)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct entry *e, *next;

		HASH_ITER (hh, shards[i].entries, e, next) {
			HASH_DEL(shards[i].entries, e);
			free(e);
		}
		pthread_mutex_destroy(&shards[i].mutex);
	}
}

/* Key of a penalty: 8 bytes of address, then the name; of a count in flight: 8 zero bytes. */
static size_t
guard_key_make(char *buf, size_t cap, const char *name, uint64_t peer_key)
{
	size_t n = strlen(name);

	if (n > cap - sizeof(peer_key))
		n = cap - sizeof(peer_key);
	memcpy(buf, &peer_key, sizeof(peer_key));
	memcpy(buf + sizeof(peer_key), name, n);
	return sizeof(peer_key) + n;
}

static struct shard *
guard_shard_of(const char *key, size_t n)
{
	return &shards[secret_hash(key, n) >> 32 & (SHARDS - 1)];
}

/* Under the shard's mutex. */
static void
guard_make_room(struct shard *s)
{
	struct entry *e, *next;

	if (HASH_COUNT(s->entries) < SHARD_MAX)
		return;
	HASH_ITER (hh, s->entries, e, next) {
		if (e->in_flight == 0) {
			HASH_DEL(s->entries, e);
			free(e);
			return;
		}
	}
}

static struct entry *
entry_get(struct shard *s, const char *key, size_t n, bool make)
{
	struct entry *e;

	HASH_FIND(hh, s->entries, key, n, e);
	if (e || !make)
		return e;
	guard_make_room(s);
	e = calloc(1, sizeof(*e) + n);
	if (!e)
		return NULL;
	memcpy(e->key, key, n);
	e->n = n;
	HASH_ADD_KEYPTR(hh, s->entries, e->key, n, e);
	return e;
}

static void
entry_drop(struct shard *s, struct entry *e)
{
	HASH_DEL(s->entries, e);
	free(e);
}

/* Seconds the next attempt waits after this many failures. */
static int64_t
penalty_ms(unsigned failures)
{
	static const int seconds[] = {0, 0, 1, 2, 4, 8};

	return (failures < 6 ? seconds[failures] : 15) * (int64_t)1000;
}

static int64_t
penalty_until(const char *name, uint64_t peer_key, int64_t now_ms)
{
	char key[400];
	size_t n = guard_key_make(key, sizeof(key), name, peer_key);
	struct shard *s = guard_shard_of(key, n);
	int64_t at = 0;
	struct entry *e;

	pthread_mutex_lock(&s->mutex);
	e = entry_get(s, key, n, false);
	if (e && now_ms - e->last_ms > FORGET_MS)
		entry_drop(s, e);
	else if (e)
		at = e->next_ms;
	pthread_mutex_unlock(&s->mutex);
	return at;
}

enum guard_answer
guard_begin(const char *name, uint64_t peer_key, int64_t now_ms, int64_t *ret_at_ms)
{
	int64_t at = penalty_until(name, peer_key, now_ms);
	enum guard_answer answer = GUARD_GO;
	char key[400];
	size_t n = guard_key_make(key, sizeof(key), name, 0);
	struct shard *s = guard_shard_of(key, n);
	struct entry *e;

	if (at > now_ms) {
		*ret_at_ms = at;
		return GUARD_WAIT;
	}
	pthread_mutex_lock(&s->mutex);
	e = entry_get(s, key, n, true);
	if (!e || e->in_flight >= GUARD_IN_FLIGHT_MAX)
		answer = GUARD_BUSY;
	else
		e->in_flight++;
	pthread_mutex_unlock(&s->mutex);
	return answer;
}

static void
penalty_change(const char *name, uint64_t peer_key, bool raise, int64_t now_ms)
{
	char key[400];
	size_t n = guard_key_make(key, sizeof(key), name, peer_key);
	struct shard *s = guard_shard_of(key, n);
	struct entry *e;

	pthread_mutex_lock(&s->mutex);
	e = entry_get(s, key, n, raise);
	if (e && !raise) {
		entry_drop(s, e);
	} else if (e) {
		if (now_ms - e->last_ms > FORGET_MS)
			e->failures = 0;
		e->failures++;
		e->last_ms = now_ms;
		e->next_ms = now_ms + penalty_ms(e->failures);
	}
	pthread_mutex_unlock(&s->mutex);
}

void
guard_end(const char *name, uint64_t peer_key, enum guard_result r, int64_t now_ms)
{
	char key[400];
	size_t n = guard_key_make(key, sizeof(key), name, 0);
	struct shard *s = guard_shard_of(key, n);
	struct entry *e;

	pthread_mutex_lock(&s->mutex);
	e = entry_get(s, key, n, false);
	if (e && --e->in_flight == 0)
		entry_drop(s, e);
	pthread_mutex_unlock(&s->mutex);
	if (r != GUARD_UNDECIDED)
		penalty_change(name, peer_key, r == GUARD_DENIED, now_ms);
}

int64_t
guard_grid(int64_t started_ms, int64_t now_ms)
{
	int64_t seconds = (now_ms - started_ms + 999) / 1000;

	return started_ms + (seconds > 1 ? seconds : 1) * 1000;
}
