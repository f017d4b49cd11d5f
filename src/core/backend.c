/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct backend *unused; /* under mutex; linked by ->next_unused */

struct backend *
backend_ref(struct backend *b)
{
	if (b)
		atomic_fetch_add(&b->refs, 1);
	return b;
}

void
backend_put(struct backend *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	pthread_mutex_lock(&mutex);
	b->next_unused = unused;
	unused = b;
	pthread_mutex_unlock(&mutex);
}

void
backend_reap(void)
{
	for (;;) {
		struct backend *b, *inner;

		pthread_mutex_lock(&mutex);
		b = unused;
		if (b)
			unused = b->next_unused;
		pthread_mutex_unlock(&mutex);
		if (!b)
			return;
		host_retire(b->inst);
		host_close(b->inst);
		inner = b->inner; /* after its wrapper: it may be the next one here */
		free((char *)(uintptr_t)b->section);
		free(b);
		backend_put(inner);
	}
}
