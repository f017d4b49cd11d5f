/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/suspect.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct suspect {
	uint64_t box, msg; /* hashes; 0, 0: nobody */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* below: under mutex */
static struct suspect table[SUSPECTS];
static size_t next;         /* the oldest */
static atomic_size_t count; /* read without the mutex: mostly there are none */

/* FNV-1a. Somebody who makes two names collide makes the server read a message twice, no more. */
static uint64_t
suspect_hash(uint64_t h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
	return h;
}

#define SEED UINT64_C(14695981039346656037)

uint64_t
suspect_box(const char *section, const char *key, size_t n)
{
	return suspect_hash(suspect_hash(SEED, section, strlen(section) + 1), key, n) | 1;
}

/* Under the mutex. msg 0: any of the mailbox. NULL: there is none. */
static struct suspect *
suspect_find(uint64_t box, uint64_t msg)
{
	for (size_t i = 0; i < SUSPECTS; i++)
		if (table[i].box == box && (msg == 0 || table[i].msg == msg))
			return &table[i];
	return NULL;
}

static bool
suspect_there(uint64_t box, uint64_t msg)
{
	bool found;

	/* relaxed: a session that misses one just being added could as well have come a moment
	 * earlier */
	if (atomic_load_explicit(&count, memory_order_relaxed) == 0)
		return false;
	pthread_mutex_lock(&mutex);
	found = suspect_find(box, msg) != NULL;
	pthread_mutex_unlock(&mutex);
	return found;
}

bool
suspect_any(uint64_t box)
{
	return suspect_there(box, 0);
}

bool
suspect_has(uint64_t box, const char *uidl, size_t n)
{
	return suspect_there(box, suspect_hash(SEED, uidl, n) | 1);
}

void
suspect_add(uint64_t box, const char *uidl, size_t n)
{
	uint64_t msg = suspect_hash(SEED, uidl, n) | 1;

	pthread_mutex_lock(&mutex);
	if (!suspect_find(box, msg)) {
		if (table[next].box == 0)
			atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
		table[next] = (struct suspect){box, msg};
		next = (next + 1) % SUSPECTS;
	}
	pthread_mutex_unlock(&mutex);
}

void
suspect_drop(uint64_t box, const char *uidl, size_t n)
{
	struct suspect *x;

	pthread_mutex_lock(&mutex);
	x = suspect_find(box, suspect_hash(SEED, uidl, n) | 1);
	if (x) {
		*x = (struct suspect){0, 0};
		atomic_fetch_sub_explicit(&count, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&mutex);
}
