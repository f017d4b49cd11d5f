/* SPDX-License-Identifier: Apache-2.0 */
#include "module/backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* below: under mutex */
static struct backend *unused; /* linked by ->next_unused */

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

bool
backend_try_ref(struct backend *b)
{
	uint32_t refs = atomic_load(&b->refs);

	while (refs > 0 && !atomic_compare_exchange_weak(&b->refs, &refs, refs + 1))
		;
	return refs > 0;
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
		if (b->closing)
			b->closing(b);
		if (b->inst) {
			host_retire(b->inst);
			host_close(b->inst);
		}
		inner = b->inner; /* after its wrapper: it may be the next one here */
		free((char *)(uintptr_t)b->section);
		free(b);
		backend_put(inner);
	}
}
