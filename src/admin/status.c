/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/status.h"

#include <string.h>
#include <unistd.h>

#include "admin/metrics_process.h"
#include "answer/answers.h"
#include "base/clock.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "config.h"
#include "log/logger.h"
#include "net/door.h"
#include "net/tls.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

/* Where the sessions are; *ret_logged_in: how many of them hold a mailbox. */
static json_t *
places_json(uint64_t *ret_logged_in)
{
	struct answer_places p = {0};
	json_t *o = json_object();
	struct slot_record r;
	slot_token token;
	char where;

	*ret_logged_in = 0;
	for (size_t i = 0; i < slot_count(); i++) {
		if (!slot_read(i, &r, &token, &where) || strcmp(r.kind, "errand") == 0)
			continue;
		p.parked += where == 'P';
		p.queued += where == 'Q';
		p.gated += where == 'G';
		p.running += where != 'P' && where != 'Q' && where != 'G';
		*ret_logged_in += r.logged_in;
	}
	ANSWER_PUT(o, places, &p);
	return o;
}

static json_t *
door_json(void)
{
	struct door_stats a;
	json_t *o = json_object();

	door_get_stats(&a);
	struct answer_door d = {.accepted = a.accepted,
				.refused_total = a.refused_total,
				.refused_address = a.refused_address,
				.shed = a.shed,
				.out_of_files = a.out_of_files,
				.pushed_out = a.pressured};

	ANSWER_PUT(o, door, &d);
	return o;
}

static json_t *
counters_json(void)
{
	json_t *o = json_object();
	char name[STAT_NAME_MAX];

	for (int i = 0; i < STAT_MAX; i++)
		json_object_set_new(o, stat_name((enum stat_id)i, name),
				    json_integer((json_int_t)stat_get((enum stat_id)i)));
	return o;
}

static void
status_count_call(const struct pool_call_status *s, void *ctx)
{
	struct answer_status *a = ctx;

	a->calls++;
	a->calls_overdue += s->overdue;
}

json_t *
status_answer(const json_t *request)
{
	struct conf *c = conf_current();
	struct answer_status a = {
		.version = PACKAGE_VERSION,
		.pid = (uint64_t)getpid(),
		.uptime_s = (uint64_t)metrics_uptime_ms() / 1000,
		.configuration = c ? c->file : "",
		.configuration_serial = c ? c->serial : 0,
		.workers = c ? c->workers : 0,
		.connections = door_sessions(),
		.queue_depth = queue_depth(),
		.queue_head_age_ms = (uint64_t)queue_head_age_ms(mono_ms()),
		.log_lines_dropped = logger_dropped(),
		.certificate_not_after =
			c && c->tls ? (uint64_t)tls_not_after_ms(c->tls) / 1000 : 0,
		.door = door_json(),
		.counters = counters_json(),
	};
	json_t *o = answers_new();

	(void)request;
	a.sessions = places_json(&a.logged_in);
	pool_each_call(status_count_call, &a);
	ANSWER_PUT(o, status, &a);
	conf_put(c);
	return o;
}
