/* SPDX-License-Identifier: Apache-2.0 */
#include "account/caches.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next;
	struct backend *backend; /* not referenced: it takes its node off the list when it closes */
	uint64_t serial;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* below: under mutex */
static struct node *newest; /* linked by ->next, serials falling */
static uint64_t made;

/* backend->closing */
static void
caches_remove(struct backend *b)
{
	struct node **at = &newest, *n;

	pthread_mutex_lock(&mutex);
	while ((*at)->backend != b)
		at = &(*at)->next;
	n = *at;
	*at = n->next;
	pthread_mutex_unlock(&mutex);
	free(n);
	credcache_free(b->cache);
}

bool
caches_add(struct backend *b, struct credcache *c)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n) {
		credcache_free(c);
		return false;
	}
	b->cache = c;
	b->closing = caches_remove;
	n->backend = b;
	pthread_mutex_lock(&mutex);
	n->serial = ++made;
	n->next = newest;
	newest = n;
	pthread_mutex_unlock(&mutex);
	return true;
}

static bool
caches_is_from(const struct backend *b, const char *section)
{
	for (; b && section; b = b->inner)
		if (strcmp(b->section, section) == 0)
			return true;
	return section == NULL;
}

/* The newest made before *serial, with a reference; NULL: none is left. One on its way out is
 * skipped. */
static struct backend *
caches_next(const char *section, uint64_t *serial)
{
	struct backend *found = NULL;

	pthread_mutex_lock(&mutex);
	for (struct node *n = newest; n && !found; n = n->next)
		if (n->serial < *serial && caches_is_from(n->backend, section) &&
		    backend_try_ref(n->backend)) {
			*serial = n->serial;
			found = n->backend;
		}
	pthread_mutex_unlock(&mutex);
	return found;
}

void
caches_forget(const char *section, struct pm_str name)
{
	uint64_t serial = UINT64_MAX;
	struct backend *b;

	while ((b = caches_next(section, &serial)) != NULL) {
		credcache_forget(b->cache, name);
		backend_put(b);
	}
}
