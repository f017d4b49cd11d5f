/* SPDX-License-Identifier: Apache-2.0 */
#include "work/gates.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t mutex; /* adding, and looking up to add */
	_Atomic(struct gate *) first;
} list = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct gate *
gates_first(void)
{
	return atomic_load(&list.first);
}

/* Under the mutex. */
static struct gate *
gate_find(const char *name)
{
	for (struct gate *g = gates_first(); g; g = g->next)
		if (strncmp(g->name, name, GATE_NAME_MAX - 1) == 0)
			return g;
	return NULL;
}

/* Under the mutex. */
static struct gate *
gate_add(const char *name)
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
gate_get(const char *name, const struct gate_limits *limits)
{
	struct gate *g;

	pthread_mutex_lock(&list.mutex);
	g = gate_find(name);
	if (!g)
		g = gate_add(name);
	pthread_mutex_unlock(&list.mutex);
	if (g && limits)
		gate_set_limits(g, limits);
	return g;
}

void
gate_set_limits(struct gate *g, const struct gate_limits *limits)
{
	pthread_mutex_lock(&g->mutex);
	g->limits = *limits;
	pthread_mutex_unlock(&g->mutex);
	gate_resized(g);
}

void
gate_fini_all(void)
{
	struct gate *g = atomic_exchange(&list.first, NULL), *next;

	for (; g; g = next) {
		next = g->next;
		assert(g->in_use == 0);
		pthread_mutex_destroy(&g->mutex);
		free(g);
	}
	gate_forget_global();
}

const char *
gate_name(const struct gate *g)
{
	return g->name;
}

void
gate_get_limits(const struct gate *g, struct gate_limits *ret)
{
	struct gate *m = (struct gate *)g; /* the mutex is not what the caller may not change */

	pthread_mutex_lock(&m->mutex);
	*ret = g->limits;
	pthread_mutex_unlock(&m->mutex);
}

/* Under the mutex. */
static void
status_fill(const struct gate *g, struct gate_status *s)
{
	static const char *const words[] = {"closed", "open", "half-open"};

	memcpy(s->name, g->name, sizeof(s->name));
	s->limits = g->limits;
	s->in_use = g->in_use;
	for (unsigned c = 0; c < CLASSES; c++)
		s->waiting[c] = g->lines[c].n;
	snprintf(s->breaker, sizeof(s->breaker), "%s", words[g->breaker.state]);
	s->open_until_ms = g->breaker.until_ms;
	s->calls = g->calls;
	s->refused = g->refused;
	s->timeouts = g->timeouts;
	s->failures = g->failures;
	s->trips = g->breaker.trips;
	s->overdue = g->overdue;
	s->busy_ms = g->busy_ms;
	s->slowest_ms = g->slowest_ms;
	memcpy(s->took, g->took, sizeof(s->took));
}

void
gate_each(void (*fn)(const struct gate_status *s, void *ctx), void *ctx)
{
	for (struct gate *g = gates_first(); g; g = g->next) {
		struct gate_status s;

		pthread_mutex_lock(&g->mutex);
		status_fill(g, &s);
		pthread_mutex_unlock(&g->mutex);
		fn(&s, ctx);
	}
}
