/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the control socket that need no module. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/caches.h"
#include "account/chain.h"
#include "account/credcache.h"
#include "admin/admin.h"
#include "admin/logger.h"
#include "admin/mailboxes.h"
#include "admin/metrics.h"
#include "admin/to_main.h"
#include "base/clock.h"
#include "base/stats.h"
#include "bind/bind.h"
#include "conf/conf.h"
#include "config.h"
#include "module/backend.h"
#include "net/acceptor.h"
#include "net/tls.h"
#include "work/gate.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

json_t *
admin_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

static void
verbs_set_num(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

/* ---- status ---------------------------------------------------------------------------------- */

static const char *
where_name(char where)
{
	return where == 'P'   ? "parked"
	       : where == 'Q' ? "queued"
	       : where == 'G' ? "gated"
			      : "running";
}

static void
verbs_count_call(const struct pool_call_status *s, void *ctx)
{
	uint64_t *n = ctx;

	n[0]++;
	n[1] += s->overdue;
}

static json_t *
verb_status(const json_t *request)
{
	json_t *o = json_object(), *where = json_object(), *counters = json_object(),
	       *door = json_object();
	uint64_t by_where[4] = {0}, logged_in = 0, calls[2] = {0};
	struct acceptor_stats a;
	struct conf *c = conf_current();
	struct slot_record r;
	slot_token token;
	char w;

	(void)request;
	for (size_t i = 0; i < slot_count(); i++) {
		if (!slot_read(i, &r, &token, &w) || strcmp(r.kind, "errand") == 0)
			continue;
		by_where[w == 'P' ? 0 : w == 'Q' ? 1 : w == 'G' ? 2 : 3]++;
		logged_in += r.logged_in;
	}
	verbs_set_num(where, "parked", by_where[0]);
	verbs_set_num(where, "queued", by_where[1]);
	verbs_set_num(where, "gated", by_where[2]);
	verbs_set_num(where, "running", by_where[3]);
	for (int i = 0; i < STAT_MAX; i++)
		verbs_set_num(counters, stat_name((enum stat_id)i), stat_get((enum stat_id)i));
	acceptor_get_stats(&a);
	verbs_set_num(door, "accepted", a.accepted);
	verbs_set_num(door, "refused_total", a.refused_total);
	verbs_set_num(door, "refused_address", a.refused_address);
	verbs_set_num(door, "shed", a.shed);
	verbs_set_num(door, "out_of_files", a.out_of_files);
	verbs_set_num(door, "pushed_out", a.pressured);
	pool_each_call(verbs_count_call, calls);
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "version", json_string(PACKAGE_VERSION));
	verbs_set_num(o, "pid", (uint64_t)getpid());
	verbs_set_num(o, "uptime_s", (uint64_t)metrics_uptime_ms() / 1000);
	json_object_set_new(o, "configuration", json_string(c ? c->file : ""));
	verbs_set_num(o, "configuration_serial", c ? c->serial : 0);
	verbs_set_num(o, "workers", c ? c->workers : 0);
	verbs_set_num(o, "connections", acceptor_sessions());
	verbs_set_num(o, "logged_in", logged_in);
	json_object_set_new(o, "sessions", where);
	verbs_set_num(o, "queue_depth", queue_depth());
	verbs_set_num(o, "queue_head_age_ms", (uint64_t)queue_head_age_ms(mono_ms()));
	verbs_set_num(o, "calls", calls[0]);
	verbs_set_num(o, "calls_overdue", calls[1]);
	verbs_set_num(o, "log_lines_dropped", logger_dropped());
	if (c && c->tls)
		verbs_set_num(o, "certificate_not_after",
			      (uint64_t)tls_not_after_ms(c->tls) / 1000);
	json_object_set_new(o, "door", door);
	json_object_set_new(o, "counters", counters);
	conf_put(c);
	return o;
}

static json_t *
verb_metrics(const json_t *request)
{
	size_t n = 0;
	char *text = metrics_text(&n);
	json_t *o;

	(void)request;
	if (!text)
		return admin_error("no memory");
	o = json_pack("{s:b, s:s%}", "ok", 1, "text", text, n);
	free(text);
	return o ? o : admin_error("no memory");
}

/* ---- sessions, kick -------------------------------------------------------------------------- */

static bool
is_wanted(const json_t *request, const struct slot_record *r)
{
	const char *user = json_string_value(json_object_get(request, "user"));
	const json_t *id = json_object_get(request, "id");

	if (id && (json_int_t)r->id != json_integer_value(id))
		return false;
	return !user || strcmp(user, r->user) == 0;
}

static json_t *
session_json(const struct slot_record *r, char where, int64_t now_ms)
{
	json_t *o = json_object();

	verbs_set_num(o, "id", r->id);
	json_object_set_new(o, "where", json_string(where_name(where)));
	json_object_set_new(o, "state", json_string(r->state));
	json_object_set_new(o, "user",
			    json_stringn_nocheck(r->user, strnlen(r->user, sizeof(r->user))));
	json_object_set_new(o, "peer", json_string(r->peer));
	json_object_set_new(o, "tls",
			    json_string(r->tls == 13   ? "1.3"
					: r->tls == 12 ? "1.2"
						       : "none"));
	verbs_set_num(o, "age_s", (uint64_t)(now_ms - r->since_ms) / 1000);
	verbs_set_num(o, "idle_s", (uint64_t)(now_ms - r->last_byte_ms) / 1000);
	verbs_set_num(o, "messages", r->messages);
	verbs_set_num(o, "deleted_pending", r->pending_dele);
	verbs_set_num(o, "octets_out", r->octets_out);
	return o;
}

static json_t *
verb_sessions(const json_t *request)
{
	json_t *o = json_object(), *list = json_array();
	int64_t now_ms = mono_ms();
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where) && strcmp(r.kind, "errand") != 0 &&
		    is_wanted(request, &r))
			json_array_append_new(list, session_json(&r, where, now_ms));
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "sessions", list);
	return o;
}

static json_t *
verb_kick(const json_t *request)
{
	struct slot_record r;
	slot_token token;
	uint64_t n = 0;
	json_t *o;
	char where;

	if (!json_is_integer(json_object_get(request, "id")) &&
	    !json_is_string(json_object_get(request, "user")))
		return admin_error("kick needs a session's id or a user");
	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where) && strcmp(r.kind, "errand") != 0 &&
		    is_wanted(request, &r))
			n += slot_wake(token, NOTE_KICK);
	if (n == 0)
		return admin_error("no such session");
	o = json_object();
	json_object_set_new(o, "ok", json_true());
	verbs_set_num(o, "kicked", n);
	return o;
}

/* ---- modules --------------------------------------------------------------------------------- */

static json_t *
str_json(struct pm_str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.n);

	return j ? j : json_string("?");
}

static void
verbs_find_gate(const struct gate_status *g, void *ctx)
{
	json_t *o = ctx;
	const char *name = json_string_value(json_object_get(o, "gate"));

	if (!name || strcmp(name, g->name) != 0)
		return;
	verbs_set_num(o, "permits", g->limits.permits);
	verbs_set_num(o, "in_use", g->in_use);
	verbs_set_num(o, "waiting", (uint64_t)g->waiting[0] + g->waiting[1] + g->waiting[2]);
	json_object_set_new(o, "breaker", json_string(g->breaker));
	verbs_set_num(o, "calls", g->calls);
	verbs_set_num(o, "refused", g->refused);
	verbs_set_num(o, "timeouts", g->timeouts);
	verbs_set_num(o, "failures", g->failures);
	verbs_set_num(o, "trips", g->trips);
	verbs_set_num(o, "overdue", g->overdue);
	verbs_set_num(o, "average_us", g->calls ? g->busy_ms * 1000 / g->calls : 0);
	verbs_set_num(o, "slowest_ms", g->slowest_ms);
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

static void
add_cache(json_t *o, const struct credcache *c)
{
	const struct credcache_usage u = credcache_usage(c);

	if (!c)
		return;
	verbs_set_num(o, "cached", u.accepted);
	verbs_set_num(o, "cached_refusals", u.refused);
	verbs_set_num(o, "cache_size", u.places);
}

static json_t *
section_json(const struct conf_section *s)
{
	const struct pm_module *m = s->backend->inst->desc;
	struct counter_sink sink = {s->name, json_object()};
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(s->kind == CONF_AUTH ? "auth" : "storage"));
	json_object_set_new(o, "section", json_string(s->name));
	json_object_set_new(o, "module", str_json(m->name));
	json_object_set_new(o, "version", str_json(m->version));
	json_object_set_new(o, "path", json_string(host_path(s->backend->inst->lib)));
	json_object_set_new(o, "gate",
			    s->backend->gate ? json_string(gate_name(s->backend->gate))
					     : json_null());
	gate_each(verbs_find_gate, o);
	add_cache(o, s->backend->cache);
	bind_each_counter(add_counter, &sink);
	json_object_set_new(o, "counters", sink.counters);
	return o;
}

static void
add_call(const struct pool_call_status *s, void *ctx)
{
	json_t *o = json_object();

	json_object_set_new(o, "gate", json_string(s->gate));
	json_object_set_new(o, "method", json_string(s->method));
	verbs_set_num(o, "session", s->task_id);
	verbs_set_num(o, "for_ms", (uint64_t)(mono_ms() - s->started_ms));
	json_object_set_new(o, "overdue", json_boolean(s->overdue));
	json_array_append_new(ctx, o);
}

static json_t *
verb_modules(const json_t *request)
{
	json_t *o = json_object(), *list = json_array(), *calls = json_array();
	struct conf *c = conf_current();

	(void)request;
	for (size_t i = 0; c && i < c->n_auth; i++)
		json_array_append_new(list, section_json(&c->auth[i]));
	for (size_t i = 0; c && i < c->n_storage; i++)
		json_array_append_new(list, section_json(&c->storage[i]));
	conf_put(c);
	pool_each_call(add_call, calls);
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "modules", list);
	json_object_set_new(o, "calls", calls);
	return o;
}

/* ---- forget ---------------------------------------------------------------------------------- */

static json_t *
verb_forget(const json_t *request)
{
	const char *raw = json_string_value(json_object_get(request, "name"));
	struct conf *c = conf_current();
	char name[PM_NAME_MAX + 1] = "";
	bool known = c && (!raw || chain_name(c, raw, strlen(raw), name));

	conf_put(c);
	if (!known)
		return admin_error("'%.64s' is not a possible user name", raw ? raw : "");
	caches_forget(NULL, (struct pm_str){name, strlen(name)});
	return json_pack("{s:b}", "ok", 1);
}

/* ---- reload, drain, log ---------------------------------------------------------------------- */

static json_t *
verb_reload(const json_t *request)
{
	char *errors = NULL;
	bool ok = to_main_reload(&errors);
	json_t *o = json_object();

	(void)request;
	json_object_set_new(o, "ok", json_boolean(ok));
	if (!ok)
		json_object_set_new(o, "error",
				    json_string("the old configuration stays in force"));
	json_object_set_new(o, "errors", json_string(errors ? errors : ""));
	free(errors);
	return o;
}

static json_t *
verb_drain(const json_t *request)
{
	(void)request;
	to_main_drain();
	return json_pack("{s:b}", "ok", 1);
}

static json_t *
verb_log_reopen(const json_t *request)
{
	(void)request;
	logger_reopen();
	return json_pack("{s:b}", "ok", 1);
}

struct verb {
	const char *name;
	json_t *(*run)(const json_t *request);
	bool slow; /* asks a module, the disk or main */
};

static const struct verb verbs[] = {
	{"status", verb_status, false},         {"metrics", verb_metrics, false},
	{"sessions", verb_sessions, false},     {"kick", verb_kick, false},
	{"modules", verb_modules, false},       {"user", admin_user, true},
	{"auth-test", admin_auth_test, true},   {"reload", verb_reload, true},
	{"forget", verb_forget, false},         {"volumes", mailboxes_volumes, false},
	{"quota", mailboxes_quota, true},       {"expire", mailboxes_expire, true},
	{"undelete", mailboxes_undelete, true}, {"job", mailboxes_job, false},
	{"drain", verb_drain, false},           {"log-reopen", verb_log_reopen, false},
};

#define ADDED_MAX 8

static struct verb added[ADDED_MAX];
static size_t n_added;

void
admin_add_verb(const char *name, json_t *(*run)(const json_t *request))
{
	if (n_added < ADDED_MAX)
		added[n_added++] = (struct verb){name, run, true};
}

static const struct verb *
find_verb(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "verb"));

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	for (size_t i = 0; name && i < n_added; i++)
		if (strcmp(added[i].name, name) == 0)
			return &added[i];
	return NULL;
}

bool
admin_is_slow(const json_t *request)
{
	const struct verb *v = find_verb(request);

	return v && v->slow;
}

json_t *
admin_answer(const json_t *request)
{
	const struct verb *v = find_verb(request);
	const char *name = json_string_value(json_object_get(request, "verb"));

	return v ? v->run(request) : admin_error("unknown verb '%.40s'", name ? name : "");
}
