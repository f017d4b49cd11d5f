/* SPDX-License-Identifier: Apache-2.0 */
#include "work/gate_status.h"

#include <stdio.h>
#include <string.h>

#include "work/gate_impl.h"
#include "work/gates.h"

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
gate_status_get(const struct gate *g, struct gate_status *ret)
{
	struct gate *m = (struct gate *)g; /* locking it changes nothing the caller may see */

	pthread_mutex_lock(&m->mutex);
	status_fill(g, ret);
	pthread_mutex_unlock(&m->mutex);
}

void
gate_status_each(void (*fn)(const struct gate_status *s, void *ctx), void *ctx)
{
	for (struct gate *g = gates_first(); g; g = g->next) {
		struct gate_status s;

		gate_status_get(g, &s);
		fn(&s, ctx);
	}
}
