/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions count up and are taken modulo cap, so full and empty need no spare byte. Buffers of the
 * usual sizes wait in free lists of at most FREE_MAX each: a busy session takes one, an idle one
 * gives it back, and malloc sees little of it.
 */
#include "base/ring.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define SIZE_LOG_MIN 10 /* 1 KiB */
#define SIZE_LOG_MAX 16 /* 64 KiB */
#define FREE_MAX 256    /* buffers kept of one size */

struct spare {
	struct spare *next;
};

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct spare *head[SIZE_LOG_MAX + 1];
	unsigned n[SIZE_LOG_MAX + 1];
} spares = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static unsigned
size_log(size_t cap)
{
	return (unsigned)__builtin_ctzl(cap);
}

static unsigned char *
buffer_take(size_t cap)
{
	unsigned k = size_log(cap);
	struct spare *s;

	pthread_mutex_lock(&spares.mutex);
	s = spares.head[k];
	if (s) {
		spares.head[k] = s->next;
		spares.n[k]--;
	}
	pthread_mutex_unlock(&spares.mutex);
	return s ? (unsigned char *)s : malloc(cap);
}

static void
buffer_give(unsigned char *buf, size_t cap)
{
	unsigned k = size_log(cap);
	struct spare *s = (struct spare *)(void *)buf;

	pthread_mutex_lock(&spares.mutex);
	if (spares.n[k] < FREE_MAX) {
		s->next = spares.head[k];
		spares.head[k] = s;
		spares.n[k]++;
		s = NULL;
	}
	pthread_mutex_unlock(&spares.mutex);
	free(s);
}

void
ring_init(struct ring *r, size_t cap)
{
	r->buf = NULL;
	r->cap = cap;
	r->head = r->tail = 0;
}

void
ring_fini(struct ring *r)
{
	if (!r->buf)
		return;
	if (ring_used(r) > 0)
		secret_wipe(r->buf, r->cap);
	r->head = r->tail = 0;
	ring_rest(r);
}

void
ring_rest(struct ring *r)
{
	if (!r->buf || ring_used(r) > 0)
		return;
	buffer_give(r->buf, r->cap);
	r->buf = NULL;
	r->head = r->tail = 0;
}

size_t
ring_used(const struct ring *r)
{
	return r->tail - r->head;
}

size_t
ring_room(const struct ring *r)
{
	return r->cap - ring_used(r);
}

void *
ring_space(struct ring *r, size_t *ret_n)
{
	size_t at, room;

	*ret_n = 0;
	if (!r->buf) {
		r->buf = buffer_take(r->cap);
		if (!r->buf)
			return NULL;
	}
	if (r->head == r->tail)
		r->head = r->tail = 0; /* as much contiguous room as possible */
	room = ring_room(r);
	if (room == 0)
		return NULL;
	at = r->tail & (r->cap - 1);
	*ret_n = room < r->cap - at ? room : r->cap - at;
	return r->buf + at;
}

void
ring_commit(struct ring *r, size_t n)
{
	r->tail += n;
}

const void *
ring_data(const struct ring *r, size_t *ret_n)
{
	size_t used = ring_used(r), at = r->head & (r->cap - 1);

	*ret_n = used < r->cap - at ? used : r->cap - at;
	return used > 0 ? r->buf + at : NULL;
}

void
ring_consume(struct ring *r, size_t n, bool wipe)
{
	if (wipe) {
		size_t at = r->head & (r->cap - 1);
		size_t first = n < r->cap - at ? n : r->cap - at;

		secret_wipe(r->buf + at, first);
		secret_wipe(r->buf, n - first);
	}
	r->head += n;
}

bool
ring_put(struct ring *r, const void *p, size_t n)
{
	const unsigned char *from = p;

	if (n > ring_room(r))
		return false;
	while (n > 0) {
		size_t room;
		void *to = ring_space(r, &room);

		if (!to)
			/* no memory: nothing was taken yet, a ring without buffer is empty */
			return false;
		if (room > n)
			room = n;
		memcpy(to, from, room);
		ring_commit(r, room);
		from += room;
		n -= room;
	}
	return true;
}

size_t
ring_peek(const struct ring *r, size_t at, void *p, size_t n)
{
	size_t used = ring_used(r), from, first;

	if (at >= used)
		return 0;
	if (n > used - at)
		n = used - at;
	from = (r->head + at) & (r->cap - 1);
	first = n < r->cap - from ? n : r->cap - from;
	memcpy(p, r->buf + from, first);
	memcpy((char *)p + first, r->buf, n - first);
	return n;
}

long
ring_find(const struct ring *r, size_t from, unsigned char c)
{
	size_t used = ring_used(r);

	while (from < used) {
		size_t at = (r->head + from) & (r->cap - 1);
		size_t n = used - from < r->cap - at ? used - from : r->cap - at;
		const unsigned char *hit = memchr(r->buf + at, c, n);

		if (hit)
			return (long)(from + (size_t)(hit - (r->buf + at)));
		from += n;
	}
	return -1;
}
