/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "admin/metrics_gates.h"
#include "admin/metrics_process.h"
#include "base/clock.h"
#include "base/clock_note.h"
#include "base/stats.h"
#include "config.h"
#include "log/logger.h"
#include "mailbox/volume.h"
#include "net/door.h"
#include "net/tls.h"
#include "upkeep/background.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define SOURCES_MAX 4
#define US_PER_MS 1000

static struct {
	void (*fn[SOURCES_MAX])(struct expo *e, const struct conf *c);
	size_t n;
} sources;

void
metrics_add_source(void (*fn)(struct expo *e, const struct conf *c))
{
	if (sources.n < SOURCES_MAX)
		sources.fn[sources.n++] = fn;
}

static void
metrics_gauge(struct expo *e, const char *name, const char *help, uint64_t v)
{
	expo_family(e, name, EXPO_GAUGE, help);
	expo_count(e, v);
}

/* ---- counters -------------------------------------------------------------------------------- */

static void
put_counters(struct expo *e)
{
	for (int i = 0; i < STAT_MAX; i++) {
		const struct stat_row *r = stat_row((enum stat_id)i);

		if (r->family)
			expo_family(e, r->family, EXPO_COUNTER, r->help);
		for (size_t k = 0; k < STAT_LABELS && r->labels[k].key; k++)
			expo_label(e, r->labels[k].key, r->labels[k].value);
		expo_count(e, stat_get((enum stat_id)i));
	}
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* The kinds of sessions, and their states as they publish them: always the same series. */
static const struct {
	const char *kind;
	const char *states[6];
} kinds[] = {
	{"pop3", {"tls", "auth", "trans", "update", "closing"}},
	{"lmtp", {"tls", "command", "data", "closing"}},
	{"smtp", {"tls", "command", "data", "closing"}},
	{"proxy", {"proxy"}},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define STATES 6
#define WHERES 4

static const char *const wheres[WHERES] = {"parked", "queued", "running", "gated"};

struct tally {
	uint64_t sessions[KINDS][STATES][WHERES];
	uint64_t errands[WHERES];
	uint64_t logged_in;
};

static unsigned
where_index(char where)
{
	return where == 'P' ? 0 : where == 'Q' ? 1 : where == 'G' ? 3 : 2;
}

static void
tally_one(struct tally *t, const struct slot_record *r, unsigned w)
{
	t->errands[w] += strcmp(r->kind, "errand") == 0;
	t->logged_in += r->logged_in;
	for (size_t k = 0; k < KINDS; k++)
		for (size_t s = 0;
		     strcmp(kinds[k].kind, r->kind) == 0 && s < STATES && kinds[k].states[s]; s++)
			t->sessions[k][s][w] += strcmp(kinds[k].states[s], r->state) == 0;
}

static void
put_tally(struct expo *e, const struct tally *t)
{
	expo_family(e, "restante_sessions", EXPO_GAUGE,
		    "Sessions by protocol, state, and who has them.");
	for (size_t k = 0; k < KINDS; k++)
		for (size_t s = 0; s < STATES && kinds[k].states[s]; s++)
			for (size_t w = 0; w < WHERES; w++) {
				expo_label(e, "protocol", kinds[k].kind);
				expo_label(e, "state", kinds[k].states[s]);
				expo_label(e, "where", wheres[w]);
				expo_count(e, t->sessions[k][s][w]);
			}
	metrics_gauge(e, "restante_sessions_logged_in", "POP3 sessions that hold a mailbox.",
		      t->logged_in);
	expo_family(e, "restante_errands", EXPO_GAUGE,
		    "Tasks of the server itself: ticks, probes, retries, jobs.");
	for (size_t w = 0; w < WHERES; w++) {
		expo_label(e, "where", wheres[w]);
		expo_count(e, t->errands[w]);
	}
}

static void
put_sessions(struct expo *e)
{
	struct tally t = {0};
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where))
			tally_one(&t, &r, where_index(where));
	put_tally(e, &t);
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void
put_engine(struct expo *e)
{
	uint32_t workers = pool_size(), idle = queue_idle_workers();

	metrics_gauge(e, "restante_workers", "Worker threads.", workers);
	metrics_gauge(e, "restante_workers_busy", "Workers that are not waiting for work.",
		      workers > idle ? workers - idle : 0);
	metrics_gauge(e, "restante_queue_tasks", "Tasks that wait for a worker.", queue_depth());
	expo_family(e, "restante_queue_head_age_seconds", EXPO_GAUGE,
		    "How long the first of them has waited.");
	expo_seconds(e, queue_head_age_ms(mono_ms()) * US_PER_MS);
	expo_family(e, "restante_log_lines_dropped_total", EXPO_COUNTER,
		    "Log lines that were lost while the log was slow, or syslog not there.");
	expo_count(e, logger_dropped());
}

static void
put_door(struct expo *e)
{
	struct door_stats a;

	door_get_stats(&a);
	const struct {
		const char *result;
		uint64_t n;
	} rows[] = {
		{"accepted", a.accepted},
		{"refused_max_sessions", a.refused_total},
		{"refused_max_per_address", a.refused_address},
	};

	metrics_gauge(e, "restante_connections", "Connections open now.", door_sessions());
	expo_family(e, "restante_connections_total", EXPO_COUNTER,
		    "Connections by what became of them at the door.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expo_label(e, "result", rows[i].result);
		expo_count(e, rows[i].n);
	}
	expo_family(e, "restante_door_shut_total", EXPO_COUNTER,
		    "Times no connection was accepted for a while: work waited too long, or files "
		    "ran out.");
	expo_label(e, "reason", "shed");
	expo_count(e, a.shed);
	expo_label(e, "reason", "out_of_files");
	expo_count(e, a.out_of_files);
	expo_family(e, "restante_sessions_pushed_out_total", EXPO_COUNTER,
		    "Sessions not logged in that made room for others.");
	expo_count(e, a.pressured);
}

/* ---- volumes --------------------------------------------------------------------------------- */

struct volumes {
	struct volume_status *list;
	size_t n, cap;
};

static void
keep_volume(const struct volume_status *s, void *ctx)
{
	struct volumes *v = ctx;

	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 8;
		struct volume_status *more = reallocarray(v->list, cap, sizeof(*more));

		if (!more)
			return; /* one sample less */
		v->list = more;
		v->cap = cap;
	}
	v->list[v->n++] = *s;
}

static void
put_states(struct expo *e, const struct volumes *v)
{
	static const char *const states[] = {[VOLUME_OK] = "ok",
					     [VOLUME_LOW] = "below_reserve",
					     [VOLUME_READONLY] = "read_only",
					     [VOLUME_UNMOUNTED] = "not_mounted",
					     [VOLUME_ERROR] = "error"};

	expo_family(e, "restante_volume_state", EXPO_GAUGE,
		    "1 for the state the volume is in; new mail is taken only in ok.");
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++) {
			expo_label(e, "volume", v->list[i].name);
			expo_label(e, "state", states[k]);
			expo_count(e, v->list[i].state == k);
		}
}

static void
put_volumes(struct expo *e, const struct conf *c)
{
	static const struct {
		const char *family;
		enum expo_type type;
		const char *help;
		size_t offset; /* of an uint64_t of struct volume_status */
	} rows[] = {
		{"restante_volume_size_bytes", EXPO_GAUGE, "Its size.",
		 offsetof(struct volume_status, total)},
		{"restante_volume_available_bytes", EXPO_GAUGE, "Free for the service user.",
		 offsetof(struct volume_status, available)},
		{"restante_volume_reserve_bytes", EXPO_GAUGE,
		 "With less than this free no new mail is taken.",
		 offsetof(struct volume_status, reserve)},
		{"restante_volume_reserve_file_bytes", EXPO_GAUGE,
		 "The reserve file; 0: it was given back, or is not wanted.",
		 offsetof(struct volume_status, reserve_file)},
		{"restante_volume_inodes", EXPO_GAUGE, "Its inodes; 0: it has no fixed number.",
		 offsetof(struct volume_status, inodes)},
		{"restante_volume_inodes_free", EXPO_GAUGE, "Those free.",
		 offsetof(struct volume_status, inodes_free)},
		{"restante_volume_refused_total", EXPO_COUNTER,
		 "Times new mail was refused because of it.",
		 offsetof(struct volume_status, refused)},
		{"restante_volume_reserve_released_total", EXPO_COUNTER,
		 "Times its reserve file was given back.",
		 offsetof(struct volume_status, released)},
	};
	struct volumes v = {0};

	volume_each(c, keep_volume, &v);
	if (v.n > 0)
		put_states(e, &v);
	for (size_t k = 0; v.n > 0 && k < sizeof(rows) / sizeof(rows[0]); k++) {
		expo_family(e, rows[k].family, rows[k].type, rows[k].help);
		for (size_t i = 0; i < v.n; i++) {
			uint64_t n;

			memcpy(&n, (const char *)&v.list[i] + rows[k].offset, sizeof(n));
			expo_label(e, "volume", v.list[i].name);
			expo_count(e, n);
		}
	}
	free(v.list);
}

static void
put_clock(struct expo *e)
{
	struct clock_state s;

	clock_note_state(&s);
	metrics_gauge(e, "restante_clock_doubtful",
		      "1: the wall clock is not where it was expected, and nothing is deleted "
		      "because of its age.",
		      s.doubtful);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void
put_configuration(struct expo *e, const struct conf *c)
{
	metrics_gauge(
		e, "restante_undo_unmarked_messages",
		"In the undo storage, not known to have been moved there: kept. Of the last round.",
		background_unmarked());
	metrics_gauge(e, "restante_configuration_serial",
		      "How often a configuration was read; changes when another one is in force.",
		      c->serial);
	if (!c->tls)
		return;
	expo_family(e, "restante_tls_certificate_not_after_timestamp_seconds", EXPO_GAUGE,
		    "When the certificate ends.");
	expo_count(e, (uint64_t)tls_not_after_ms(c->tls) / 1000);
}

char *
metrics_text(size_t *ret_n)
{
	struct conf *c = conf_current();
	struct expo e = {0};
	char *text;

	expo_family(&e, "restante_build_info", EXPO_GAUGE, "Which version this is.");
	expo_label(&e, "version", PACKAGE_VERSION);
	expo_count(&e, 1);
	metrics_process(&e);
	put_sessions(&e);
	put_engine(&e);
	put_door(&e);
	put_counters(&e);
	put_clock(&e);
	if (c) {
		metrics_gates(&e, c);
		put_volumes(&e, c);
		put_configuration(&e, c);
	}
	for (size_t i = 0; c && i < sources.n; i++)
		sources.fn[i](&e, c);
	conf_put(c);
	text = expo_take(&e, ret_n);
	expo_fini(&e);
	return text;
}
