/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/metrics_gates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/credcache.h"
#include "bind/services.h"
#include "module/backend.h"
#include "work/gate_status.h"
#include "work/pool.h"

#define US_PER_MS 1000

struct gates {
	const struct conf *conf;
	struct gate_status *list;
	size_t n, cap;
};

static bool
is_of(const struct gate_status *s, const struct backend *b)
{
	return b && b->gate && strcmp(gate_name(b->gate), s->name) == 0;
}

/* A gate stays when a reload removes its section; it is shown while sessions still use it. */
static bool
is_shown(const struct conf *c, const struct gate_status *s)
{
	bool shown = s->in_use > 0 || is_of(s, c->badmail.backend) || is_of(s, c->volume_backend);

	for (size_t i = 0; !shown && i < c->n_auth; i++)
		shown = is_of(s, c->auth[i].backend);
	for (size_t i = 0; !shown && i < c->n_storage; i++)
		shown = is_of(s, c->storage[i].backend);
	return shown;
}

static void
keep_gate(const struct gate_status *s, void *ctx)
{
	struct gates *g = ctx;

	if (!is_shown(g->conf, s))
		return;
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 8;
		struct gate_status *more = reallocarray(g->list, cap, sizeof(*more));

		if (!more)
			return; /* one sample less */
		g->list = more;
		g->cap = cap;
	}
	g->list[g->n++] = *s;
}

/* "auth:accounts": kind and section; "badmail", "volumes": the server's own. */
static void
label_gate(struct expo *e, const struct gate_status *s)
{
	const char *colon = strchr(s->name, ':');
	char kind[GATE_NAME_MAX] = "server";

	if (colon)
		snprintf(kind, sizeof(kind), "%.*s", (int)(colon - s->name), s->name);
	expo_label(e, "kind", kind);
	expo_label(e, "section", colon ? colon + 1 : s->name);
}

/* ---- by section ------------------------------------------------------------------------------ */

static const struct {
	const char *family;
	enum expo_type type;
	const char *help;
	size_t offset, size; /* of a number of struct gate_status */
} rows[] = {
#define ROW(family, type, field, help) \
	{ \
		family, type, help, offsetof(struct gate_status, field), \
			sizeof(((struct gate_status *)0)->field) \
	}
	ROW("restante_gate_permits", EXPO_GAUGE, limits.permits,
	    "Calls into the section's module at once."),
	ROW("restante_gate_in_use", EXPO_GAUGE, in_use, "Permits that are given out."),
	ROW("restante_gate_calls_total", EXPO_COUNTER, calls, "Permits given out so far."),
	ROW("restante_gate_refused_total", EXPO_COUNTER, refused,
	    "Calls refused at once: the line was full, an address had its share of it, or the "
	    "breaker was open."),
	ROW("restante_gate_wait_timeouts_total", EXPO_COUNTER, timeouts,
	    "Calls that waited for a permit for too long."),
	ROW("restante_gate_backend_failures_total", EXPO_COUNTER, failures,
	    "Calls whose backend was down or silent."),
	ROW("restante_gate_breaker_trips_total", EXPO_COUNTER, trips, "Times the breaker opened."),
	ROW("restante_gate_overdue_calls_total", EXPO_COUNTER, overdue,
	    "Calls that did not return by their deadline."),
#undef ROW
};

static void
put_numbers(struct expo *e, const struct gates *g)
{
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		expo_family(e, rows[k].family, rows[k].type, rows[k].help);
		for (size_t i = 0; i < g->n; i++) {
			const char *at = (const char *)&g->list[i] + rows[k].offset;
			uint64_t n = 0;
			uint32_t n32;

			if (rows[k].size == sizeof(n)) {
				memcpy(&n, at, sizeof(n));
			} else {
				memcpy(&n32, at, sizeof(n32));
				n = n32;
			}
			label_gate(e, &g->list[i]);
			expo_count(e, n);
		}
	}
}

static void
put_lines(struct expo *e, const struct gates *g)
{
	static const char *const lines[] = {"give_back", "continue", "begin"};

	expo_family(e, "restante_gate_waiting", EXPO_GAUGE,
		    "Tasks that wait for a permit, by line.");
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
			label_gate(e, &g->list[i]);
			expo_label(e, "line", lines[k]);
			expo_count(e, g->list[i].waiting[k]);
		}
}

static void
put_breakers(struct expo *e, const struct gates *g)
{
	static const char *const states[] = {"closed", "open", "half-open"};

	expo_family(e, "restante_gate_breaker_state", EXPO_GAUGE,
		    "1 for the state the breaker is in.");
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
			label_gate(e, &g->list[i]);
			expo_label(e, "state", states[k]);
			expo_count(e, strcmp(g->list[i].breaker, states[k]) == 0);
		}
}

static void
put_histogram(struct expo *e, const struct gate_status *s)
{
	uint64_t sum = 0;
	char le[16];

	for (unsigned i = 0; i <= GATE_BUCKETS; i++) {
		sum += s->took[i];
		if (i < GATE_BUCKETS)
			snprintf(le, sizeof(le), "%g", gate_bucket_ms[i] / 1000.0);
		expo_part(e, "_bucket");
		label_gate(e, s);
		expo_label(e, "le", i < GATE_BUCKETS ? le : "+Inf");
		expo_count(e, sum);
	}
	expo_part(e, "_sum");
	label_gate(e, s);
	expo_seconds(e, (int64_t)s->busy_ms * US_PER_MS);
	expo_part(e, "_count");
	label_gate(e, s);
	expo_count(e, sum);
}

static void
put_durations(struct expo *e, const struct gates *g)
{
	expo_family(
		e, "restante_gate_call_duration_seconds", EXPO_HISTOGRAM,
		"Turns under a permit, in which the module was called; measured in milliseconds.");
	for (size_t i = 0; i < g->n; i++)
		put_histogram(e, &g->list[i]);
	expo_family(e, "restante_gate_slowest_call_seconds", EXPO_GAUGE, "The longest so far.");
	for (size_t i = 0; i < g->n; i++) {
		label_gate(e, &g->list[i]);
		expo_seconds(e, (int64_t)g->list[i].slowest_ms * US_PER_MS);
	}
}

/* ---- credential caches ----------------------------------------------------------------------- */

static void
put_caches(struct expo *e, const struct conf *c)
{
	bool any = false;

	for (size_t i = 0; i < c->n_auth && !any; i++)
		any = c->auth[i].backend->cache != NULL;
	if (!any)
		return;
	expo_family(e, "restante_credential_cache_entries", EXPO_GAUGE,
		    "Places taken in a section's cache, also by what is over its time.");
	for (size_t i = 0; i < c->n_auth; i++) {
		const struct credcache_usage u = credcache_usage(c->auth[i].backend->cache);

		for (int refused = 0; refused < 2 && u.places > 0; refused++) {
			expo_label(e, "section", c->auth[i].name);
			expo_label(e, "result", refused ? "refused" : "accepted");
			expo_count(e, refused ? u.refused : u.accepted);
		}
	}
	expo_family(e, "restante_credential_cache_places", EXPO_GAUGE,
		    "Places there are, for the accepted and for the refused; in a full cache the "
		    "oldest give way.");
	for (size_t i = 0; i < c->n_auth; i++) {
		const struct credcache_usage u = credcache_usage(c->auth[i].backend->cache);

		if (u.places == 0)
			continue;
		expo_label(e, "section", c->auth[i].name);
		expo_count(e, u.places);
	}
}

/* ---- calls, modules -------------------------------------------------------------------------- */

static void
metrics_gates_count_call(const struct pool_call_status *s, void *ctx)
{
	uint64_t *n = ctx;

	n[0]++;
	n[1] += s->overdue;
}

static void
put_calls(struct expo *e)
{
	uint64_t n[2] = {0};

	pool_each_call(metrics_gates_count_call, n);
	expo_family(e, "restante_calls", EXPO_GAUGE, "Calls into modules at this moment.");
	expo_count(e, n[0]);
	expo_family(e, "restante_calls_overdue", EXPO_GAUGE, "Those of them past their deadline.");
	expo_count(e, n[1]);
}

struct events {
	struct expo *e;
	const struct conf *conf;
};

static bool
has_section(const struct conf_section *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return true;
	return false;
}

/* They stay when a reload removes their section. */
static void
put_counter(const char *section, const char *name, int64_t value, void *ctx)
{
	const struct events *v = ctx;

	if (!has_section(v->conf->auth, v->conf->n_auth, section) &&
	    !has_section(v->conf->storage, v->conf->n_storage, section))
		return;
	expo_label(v->e, "section", section);
	expo_label(v->e, "counter", name);
	expo_count(v->e, (uint64_t)value);
}

void
metrics_gates(struct expo *e, const struct conf *c)
{
	struct gates g = {.conf = c};
	struct events v = {e, c};

	put_calls(e);
	gate_status_each(keep_gate, &g);
	put_numbers(e, &g);
	put_lines(e, &g);
	put_breakers(e, &g);
	put_durations(e, &g);
	free(g.list);
	put_caches(e, c);
	expo_family(e, "restante_module_events_total", EXPO_COUNTER,
		    "Events that modules count themselves; see their manual pages.");
	services_each_counter(put_counter, &v);
}
