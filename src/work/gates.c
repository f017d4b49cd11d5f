/* SPDX-License-Identifier: Apache-2.0 */
#include "work/gates.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "work/gate_impl.h"

static struct {
	pthread_mutex_t mutex; /* held to add, and to look up before adding */
	_Atomic(struct gate *) first;
} list = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct gate *
gates_first(void)
{
	return atomic_load(&list.first);
}

/* Under the mutex. */
static struct gate *
gates_find(const char *name)
{
	for (struct gate *g = gates_first(); g; g = g->next)
		if (strncmp(g->name, name, GATE_NAME_MAX - 1) == 0)
			return g;
	return NULL;
}

/* Under the mutex. */
static struct gate *
gates_add(const char *name)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	if (pthread_mutex_init(&g->mutex, NULL) != 0) {
		free(g);
		return NULL;
	}
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->next = gates_first();
	atomic_store(&list.first, g); /* complete: readers take no lock */
	return g;
}

struct gate *
gates_get(const char *name)
{
	struct gate *g;

	pthread_mutex_lock(&list.mutex);
	g = gates_find(name);
	if (!g)
		g = gates_add(name);
	pthread_mutex_unlock(&list.mutex);
	return g;
}

void
gates_fini(void)
{
	struct gate *g = atomic_exchange(&list.first, NULL), *next;

	for (; g; g = next) {
		next = g->next;
		assert(g->in_use == 0);
		pthread_mutex_destroy(&g->mutex);
		free(g);
	}
}
