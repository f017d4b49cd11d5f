/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/modules.h"

#include <stdio.h>
#include <string.h>

#include "account/credcache.h"
#include "answer/answers.h"
#include "base/clock.h"
#include "bind/services.h"
#include "conf/conf.h"
#include "module/backend.h"
#include "work/gate_status.h"
#include "work/pool.h"

#define TEXT_MAX 64

static void
modules_add_gate(json_t *o, const struct gate_status *g)
{
	const struct answer_module_gate a = {
		.gate = g->name,
		.permits = g->limits.permits,
		.in_use = g->in_use,
		.waiting = (uint64_t)g->waiting[0] + g->waiting[1] + g->waiting[2],
		.breaker = g->breaker,
		.calls = g->calls,
		.refused = g->refused,
		.timeouts = g->timeouts,
		.failures = g->failures,
		.trips = g->trips,
		.overdue = g->overdue,
		.average_us = g->calls ? g->busy_ms * 1000 / g->calls : 0,
		.slowest_ms = g->slowest_ms,
	};

	ANSWER_PUT(o, module_gate, &a);
}

static void
modules_add_cache(json_t *o, const struct credcache *c)
{
	const struct credcache_usage u = credcache_usage(c);
	const struct answer_module_cache a = {
		.cached = u.accepted, .cached_refusals = u.refused, .cache_size = u.places};

	if (c)
		ANSWER_PUT(o, module_cache, &a);
}

struct counter_sink {
	const char *section;
	json_t *counters;
};

static void
add_counter(const char *section, const char *name, int64_t value, void *ctx)
{
	struct counter_sink *s = ctx;

	if (strcmp(section, s->section) == 0)
		json_object_set_new(s->counters, name, json_integer(value));
}

static json_t *
section_json(const struct conf_section *s)
{
	const struct pm_module *m = s->backend->inst->desc;
	struct counter_sink sink = {s->name, json_object()};
	char name[TEXT_MAX], version[TEXT_MAX];
	struct answer_module a = {
		.kind = s->kind == CONF_AUTH ? "auth" : "storage",
		.section = s->name,
		.module = name,
		.version = version,
		.path = host_path(s->backend->inst->lib),
		.counters = sink.counters,
	};
	json_t *o = json_object();

	snprintf(name, sizeof(name), "%.*s", (int)m->name.n, m->name.p ? m->name.p : "");
	snprintf(version, sizeof(version), "%.*s", (int)m->version.n,
		 m->version.p ? m->version.p : "");
	services_each_counter(add_counter, &sink);
	ANSWER_PUT(o, module, &a);
	if (s->backend->gate) {
		struct gate_status g;

		gate_status_get(s->backend->gate, &g);
		modules_add_gate(o, &g);
	}
	modules_add_cache(o, s->backend->cache);
	return o;
}

static void
modules_add_call(const struct pool_call_status *s, void *ctx)
{
	const struct answer_call a = {.gate = s->gate,
				      .method = s->method,
				      .session = s->task_id,
				      .for_ms = (uint64_t)(mono_ms() - s->started_ms),
				      .overdue = s->overdue};
	json_t *o = json_object();

	ANSWER_PUT(o, call, &a);
	json_array_append_new(ctx, o);
}

json_t *
modules_answer(const json_t *request)
{
	struct answer_modules a = {.modules = json_array(), .calls = json_array()};
	struct conf *c = conf_current();
	json_t *o = answers_new();

	(void)request;
	for (size_t i = 0; c && i < c->n_auth; i++)
		json_array_append_new(a.modules, section_json(&c->auth[i]));
	for (size_t i = 0; c && i < c->n_storage; i++)
		json_array_append_new(a.modules, section_json(&c->storage[i]));
	conf_put(c);
	pool_each_call(modules_add_call, a.calls);
	ANSWER_PUT(o, modules, &a);
	return o;
}
