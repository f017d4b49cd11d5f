/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry is a maildrop that a session or the background holds, or a session waits for. Its fields
 * are changed under the shard's mutex; the holder keeps a pointer and touches `last_ms` and
 * `pending` through it. Waking happens after unlock: a wake may take the queue's lock, and no
 * thread holds two.
 */
#include "mailbox/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)secret_hash(keyptr, keylen))
#include <uthash.h>

#define SHARDS 16
#define KEY_MAX 1100 /* section, NUL, mailbox key */

struct shard;

struct registry_entry {
	UT_hash_handle hh;
	struct shard *shard;
	slot_token holder; /* 0: released, kept for the waiter */
	bool background;   /* the holder is no session, and gives way */
	slot_token waiter; /* 0: none */
	uint64_t peer_key; /* of the holder */
	_Atomic int64_t last_ms;
	_Atomic bool pending; /* deletions not committed */
	_Atomic bool wanted;  /* a session waits for the background to give way */
	size_t n;
	char key[];
};

static struct shard {
	pthread_mutex_t mutex;
	struct registry_entry *entries; /* under mutex */
} shards[SHARDS];

void
registry_init(void)
{
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&shards[i].mutex, NULL);
}

void
registry_fini(void)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct registry_entry *e, *next;

		HASH_ITER (hh, shards[i].entries, e, next) {
			HASH_DEL(shards[i].entries, e);
			free(e);
		}
		pthread_mutex_destroy(&shards[i].mutex);
	}
}

static size_t
registry_key_make(char *buf, const char *section, const char *key, size_t key_n)
{
	size_t n = strlen(section) + 1;

	if (n > KEY_MAX - 1030)
		n = KEY_MAX - 1030;
	if (key_n > 1024)
		key_n = 1024;
	memcpy(buf, section, n - 1);
	buf[n - 1] = '\0';
	memcpy(buf + n, key, key_n);
	return n + key_n;
}

static struct shard *
registry_shard_of(const char *key, size_t n)
{
	return &shards[secret_hash(key, n) >> 32 & (SHARDS - 1)];
}

static struct registry_entry *
entry_new(struct shard *s, const char *key, size_t n)
{
	struct registry_entry *e = calloc(1, sizeof(*e) + n);

	if (!e)
		return NULL;
	memcpy(e->key, key, n);
	e->n = n;
	e->shard = s;
	HASH_ADD_KEYPTR(hh, s->entries, e->key, n, e);
	return e;
}

/* May this newcomer have the maildrop from the holder? */
static bool
may_take_over(struct registry_entry *e, uint64_t peer_key, int64_t takeover_ms, int64_t now_ms)
{
	return takeover_ms > 0 && e->peer_key == peer_key && !atomic_load(&e->pending) &&
	       now_ms - atomic_load(&e->last_ms) >= takeover_ms;
}

/* The maildrop is the claimant's; under the shard's mutex. */
static void
entry_take(struct registry_entry *e, slot_token me, uint64_t peer_key, int64_t now_ms,
	   bool background)
{
	e->holder = me;
	e->waiter = 0;
	e->peer_key = peer_key;
	e->background = background;
	atomic_store(&e->last_ms, now_ms);
	atomic_store(&e->pending, false);
	atomic_store(&e->wanted, false);
}

enum registry_answer
registry_claim(const char *section, const char *key, size_t key_n, slot_token me, uint64_t peer_key,
	       int64_t takeover_ms, int64_t now_ms, bool may_wait, struct registry_entry **ret)
{
	char buf[KEY_MAX];
	size_t n = registry_key_make(buf, section, key, key_n);
	struct shard *s = registry_shard_of(buf, n);
	enum registry_answer answer = REGISTRY_HELD;
	struct registry_entry *e;
	slot_token ask = 0;

	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->entries, buf, n, e);
	if (!e)
		e = entry_new(s, buf, n);
	if (!e) {
		answer = REGISTRY_NOMEM;
	} else if (e->holder == 0 && (e->waiter == 0 || e->waiter == me)) {
		entry_take(e, me, peer_key, now_ms, false);
		*ret = e;
		answer = REGISTRY_MINE;
	} else if (e->holder != 0 && e->background && may_wait &&
		   (e->waiter == 0 || e->waiter == me)) {
		e->waiter = me;
		atomic_store(&e->wanted, true);
		answer = REGISTRY_SOON;
	} else if (e->holder != 0 && !e->background && may_wait &&
		   (e->waiter == 0 || e->waiter == me) &&
		   may_take_over(e, peer_key, takeover_ms, now_ms)) {
		e->waiter = me;
		ask = e->holder;
		answer = REGISTRY_WAIT;
	}
	pthread_mutex_unlock(&s->mutex);
	if (ask)
		/* gone already: it will wake us by its release */
		(void)slot_wake(ask, NOTE_TAKEOVER);
	return answer;
}

enum registry_answer
registry_claim_background(const char *section, const char *key, size_t key_n, slot_token me,
			  struct registry_entry **ret)
{
	char buf[KEY_MAX];
	size_t n = registry_key_make(buf, section, key, key_n);
	struct shard *s = registry_shard_of(buf, n);
	enum registry_answer answer = REGISTRY_HELD;
	struct registry_entry *e;

	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->entries, buf, n, e);
	if (!e) { /* else somebody holds it, or it is kept for somebody who waits */
		e = entry_new(s, buf, n);
		answer = e ? REGISTRY_MINE : REGISTRY_NOMEM;
		if (e)
			entry_take(e, me, 0, 0, true);
		*ret = e;
	}
	pthread_mutex_unlock(&s->mutex);
	return answer;
}

bool
registry_is_wanted(const struct registry_entry *e)
{
	return e && atomic_load_explicit(&e->wanted, memory_order_relaxed);
}

void
registry_touch(struct registry_entry *e, int64_t now_ms, bool pending_dele)
{
	/* only a newcomer's estimate reads these; the holder itself decides */
	atomic_store_explicit(&e->last_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&e->pending, pending_dele, memory_order_relaxed);
}

bool
registry_should_yield(struct registry_entry *e, int64_t takeover_ms, int64_t now_ms)
{
	bool waited_for;

	pthread_mutex_lock(&e->shard->mutex);
	waited_for = e->waiter != 0;
	pthread_mutex_unlock(&e->shard->mutex);
	return takeover_ms > 0 && waited_for && !atomic_load(&e->pending) &&
	       now_ms - atomic_load(&e->last_ms) >= takeover_ms;
}

void
registry_release(struct registry_entry *e)
{
	struct shard *s;
	slot_token waiter;

	if (!e)
		return;
	s = e->shard;
	pthread_mutex_lock(&s->mutex);
	waiter = e->waiter;
	e->holder = 0;
	if (waiter == 0) {
		HASH_DEL(s->entries, e);
		free(e);
	}
	pthread_mutex_unlock(&s->mutex);
	if (waiter != 0)
		/* gone: it cancelled, and its entry with it */
		(void)slot_wake(waiter, NOTE_WAKE);
}

void
registry_cancel(const char *section, const char *key, size_t key_n, slot_token me)
{
	char buf[KEY_MAX];
	size_t n = registry_key_make(buf, section, key, key_n);
	struct shard *s = registry_shard_of(buf, n);
	struct registry_entry *e;

	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->entries, buf, n, e);
	if (e && e->waiter == me) {
		e->waiter = 0;
		atomic_store(&e->wanted, false);
		if (e->holder == 0) {
			HASH_DEL(s->entries, e);
			free(e);
		}
	}
	pthread_mutex_unlock(&s->mutex);
}

bool
registry_is_open(const char *section, const char *key, size_t key_n, slot_token *ret_holder)
{
	char buf[KEY_MAX];
	size_t n = registry_key_make(buf, section, key, key_n);
	struct shard *s = registry_shard_of(buf, n);
	struct registry_entry *e;
	bool open;

	pthread_mutex_lock(&s->mutex);
	HASH_FIND(hh, s->entries, buf, n, e);
	open = e && e->holder != 0 && !e->background;
	if (open && ret_holder)
		*ret_holder = e->holder;
	pthread_mutex_unlock(&s->mutex);
	return open;
}
