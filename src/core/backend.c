/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/credcache.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* below: under mutex */
static struct backend *unused; /* linked by ->next_unused */
static struct backend *cached; /* linked by ->next_cached */
static uint64_t caches;        /* made so far */

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

/* ---- caches ---------------------------------------------------------------------------------- */

void
backend_add_cache(struct backend *b, struct credcache *c)
{
	b->cache = c;
	pthread_mutex_lock(&mutex);
	b->cache_serial = ++caches;
	b->next_cached = cached;
	cached = b;
	pthread_mutex_unlock(&mutex);
}

static void
cache_remove(struct backend *b)
{
	struct backend **at = &cached;

	if (!b->cache)
		return;
	pthread_mutex_lock(&mutex);
	while (*at != b)
		at = &(*at)->next_cached;
	*at = b->next_cached;
	pthread_mutex_unlock(&mutex);
	credcache_free(b->cache);
}

static bool
is_from(const struct backend *b, const char *section)
{
	for (; b && section; b = b->inner)
		if (strcmp(b->section, section) == 0)
			return true;
	return section == NULL;
}

/* False: nobody holds it any more, it is on its way out. */
static bool
try_ref(struct backend *b)
{
	uint32_t refs = atomic_load(&b->refs);

	while (refs > 0 && !atomic_compare_exchange_weak(&b->refs, &refs, refs + 1))
		;
	return refs > 0;
}

/* The newest made before `serial`, with a reference. */
static struct backend *
next_cached(const char *section, uint64_t serial)
{
	struct backend *b;

	pthread_mutex_lock(&mutex);
	for (b = cached; b; b = b->next_cached)
		if (b->cache_serial < serial && is_from(b, section) && try_ref(b))
			break;
	pthread_mutex_unlock(&mutex);
	return b;
}

void
backend_forget(const char *section, struct pm_str name)
{
	uint64_t serial = UINT64_MAX;
	struct backend *b;

	while ((b = next_cached(section, serial)) != NULL) {
		serial = b->cache_serial;
		credcache_forget(b->cache, name);
		backend_put(b);
	}
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
		cache_remove(b);
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
