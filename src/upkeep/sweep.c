/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep's lanes: their birth, their steps, their end. */
#include "upkeep/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "account/usercopy.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/answer.h"
#include "upkeep/sweep_box.h"
#include "upkeep/sweep_domain.h"
#include "upkeep/sweep_list.h"
#include "upkeep/sweep_place.h"
#include "upkeep/sweep_report.h"
#include "upkeep/sweep_state.h"
#include "upkeep/sweep_undo.h"

#define SWEEP_MS (INT64_C(7) * 86400 * 1000)

/* The mailbox at hand is done. */
static int32_t
step_next(struct sweep *s, struct errand *e)
{
	if (s->order.kind == SWEEP_PLACES)
		return sweep_end(s, s->box.rc);
	if (s->box.rc == PM_BUSY && s->box.gave_way && sweep_list_again(s))
		return sweep_list_go_on(s, e);
	sweep_list_count(s, e, s->box.rc);
	return s->order.user[0] ? sweep_end(s, s->box.rc) : sweep_list_go_on(s, e);
}

static int32_t
sweep_keep_user(struct sweep *s)
{
	struct sweep_box *b = &s->box;
	struct pm_user full = b->find.user;
	size_t n;

	if (!b->find.storage)
		return PM_PERM;
	quota_fill(s->conf, &full);
	n = user_bytes(&full);
	b->user_mem = n < SIZE_MAX ? malloc(n) : NULL;
	if (!b->user_mem)
		return PM_NOMEM;
	user_pack(&full, b->user_mem, &b->user);
	b->storage = b->find.storage->backend;
	return PM_OK;
}

static int32_t
step_lookup(struct sweep *s, struct errand *e)
{
	int32_t rc = find_step(&s->box.find, &e->caller);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK)
		rc = sweep_keep_user(s);
	else
		snprintf(e->call.error, sizeof(e->call.error), "%s", s->box.find.text);
	/* a mailbox that was listed in one store while its user's mail is in another now is not
	 * this user's */
	if (rc == PM_OK && !s->order.user[0] &&
	    s->box.storage != s->conf->storage[s->section].backend)
		rc = PM_NOENT;
	return rc == PM_OK ? sweep_box_begin(s, e) : sweep_end_box(s, rc);
}

static int32_t
sweep_run(struct errand *e)
{
	static int32_t (*const steps[])(struct sweep * s, struct errand * e) = {
		[SWEEP_LIST] = sweep_list_step,
		[SWEEP_LOOKUP] = step_lookup,
		[SWEEP_STAT] = sweep_box_stat,
		[SWEEP_OPEN] = sweep_box_open,
		[SWEEP_INFO] = sweep_box_info,
		[SWEEP_COMMIT] = sweep_box_commit,
		[SWEEP_CLOSE] = sweep_box_close,
		[SWEEP_PLACE] = sweep_place_step,
		[SWEEP_TRANSFER] = sweep_undo_transfer,
		[SWEEP_BOX_DOMAIN] = sweep_domain_of_box,
		[SWEEP_NEXT] = step_next,
		[SWEEP_DOMAINS] = sweep_domain_all,
		[SWEEP_ALL_PLACES] = sweep_place_all,
	};
	struct sweep *s = e->ctx;

	while (s->phase != SWEEP_OVER)
		if (steps[s->phase](s, e) == PM_AGAIN)
			return PM_AGAIN;
	return s->rc;
}

static const char *
kind_name(enum sweep_kind k)
{
	static const char *const names[] = {"expire", "recount", "undelete", "usage",
					    "undo",   "undo",    "undo"};

	return names[k];
}

/* Logs the result of an order. Under the mutex. */
static void
sweep_log(const struct sweep *s)
{
	const struct sweep_report *r = s->report;

	log_msg(LOG_LVL_NOTICE, "sweep", "%s%s of %s: %s; %llu mailboxes, %llu messages%s%s",
		kind_name(s->order.kind), s->order.dry_run ? " (dry run)" : "",
		s->order.user[0]     ? s->order.user
		: s->order.domain[0] ? s->order.domain
				     : "all",
		r->rc == PM_OK ? "done" : host_code_name(r->rc), (unsigned long long)r->boxes,
		(unsigned long long)r->messages, r->error[0] ? "; " : "", r->error);
}

/* The totals of the account's domain go into the report, from the core's file. */
static void
report_domain(struct sweep *s)
{
	struct quota_usage u = {0};
	int32_t rc = quota_domain_get(s->conf, s->box.limits.domain, &u);

	pthread_mutex_lock(s->mutex);
	s->report->domain_usage = u;
	s->report->domain_rc = rc;
	pthread_mutex_unlock(s->mutex);
}

/* The result, in words. Under the mutex. */
static void
report_end(struct sweep *s, const struct errand *e, int32_t rc)
{
	struct sweep_report *r = s->report;

	r->rc = rc;
	r->ended_ms = wall_ms();
	r->done = true;
	if (rc == PM_NOENT && s->order.user[0] && !r->error[0])
		snprintf(r->error, sizeof(r->error), "no auth section knows an account '%.150s'",
			 s->order.user);
	else if (rc != PM_OK && !r->error[0])
		snprintf(r->error, sizeof(r->error), "%s %s%s", host_code_name(rc),
			 e->call.error[0] ? e->call.error : "section ",
			 e->call.error[0] ? ""
			 : s->box.storage ? s->box.storage->section
					  : "of accounts");
	if (!s->order.over && s->order.kind != SWEEP_USAGE)
		sweep_log(s);
}

static void
lane_free(struct sweep *s)
{
	sweep_box_free(&s->box);
	free(s->page);
	free(s);
}

/* A lane ends. If it was told to, the others follow. False: it was not the last one. */
static bool
is_last_lane(struct sweep *s, int32_t *rc)
{
	struct sweep_round *r = s->round;
	bool last;

	if (s->left)
		return false; /* it is not counted any more */
	pthread_mutex_lock(s->mutex);
	if (r->rc == PM_OK)
		r->rc = *rc;
	*rc = r->rc;
	last = --r->lanes == 0;
	pthread_mutex_unlock(s->mutex);
	return last;
}

static void
sweep_finish(struct errand *e, int32_t rc)
{
	struct sweep *s = e->ctx;
	struct sweep_report *r = s->report;

	if (!is_last_lane(s, &rc)) {
		lane_free(s);
		return;
	}
	if (s->order.kind == SWEEP_USAGE && s->box.limits.domain_counted)
		report_domain(s);
	pthread_mutex_lock(s->mutex);
	report_end(s, e, rc);
	pthread_mutex_unlock(s->mutex);
	if (s->order.over) {
		s->order.over(s->conf, &s->order, r); /* nobody else sees this report */
		sweep_report_drop(r, &s->order);
	}
	sweep_list_free(s->round);
	lane_free(s);
}

/* Sets the first phase. False: there is nothing to do. */
static bool
sweep_first(struct sweep *s)
{
	if (s->order.user[0]) {
		memcpy(s->box.name, s->order.user, sizeof(s->box.name));
		(void)sweep_list_lookup(s);
		return chain_next(s->conf, s->order.user, 0) >= 0;
	}
	s->phase = s->order.kind == SWEEP_PLACES  ? SWEEP_ALL_PLACES
		   : s->order.kind == SWEEP_USAGE ? SWEEP_DOMAINS
						  : SWEEP_LIST;
	return s->phase == SWEEP_ALL_PLACES ||
	       (s->phase == SWEEP_DOMAINS ? sweep_domain_next(s) != NULL : sweep_list_first(s));
}

static struct sweep *
lane_new(struct conf *c, const struct sweep_order *order, struct sweep_round *round)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->conf = c;
	s->order = *order;
	s->round = round;
	s->page = calloc(SWEEP_PAGE, sizeof(*s->page));
	if (s->page && round)
		return s;
	lane_free(s);
	return NULL;
}

static bool
lane_start(struct sweep *s)
{
	struct errand e = {.conf = s->conf,
			   .name = kind_name(s->order.kind),
			   .run = sweep_run,
			   .finish = sweep_finish,
			   .ctx = s,
			   .deadline_ms = s->round->until_ms};

	return errand_start(&e);
}

bool
sweep_lane_start(struct sweep *s)
{
	struct sweep *another = lane_new(s->conf, &s->order, s->round);

	if (!another)
		return false;
	another->mutex = s->mutex;
	another->report = s->report;
	another->phase = SWEEP_LIST;
	if (lane_start(another))
		return true;
	lane_free(another);
	return false;
}

uint64_t
sweep_start(struct conf *c, const struct sweep_order *order, char *ret_error)
{
	struct sweep_round *round = calloc(1, sizeof(*round));
	struct sweep *s = lane_new(c, order, round);
	uint64_t id;

	if (!s) {
		snprintf(ret_error, 200, "no memory");
		goto fail;
	}
	round->lanes = 1;
	round->until_ms = mono_ms() + SWEEP_MS;
	if (!sweep_first(s)) {
		snprintf(ret_error, 200, "no auth section is asked about '%.100s'", order->user);
		goto fail;
	}
	s->report = sweep_report_new(order, &s->mutex, ret_error);
	if (!s->report)
		goto fail;
	id = s->report->id;
	if (lane_start(s))
		return id;
	snprintf(ret_error, 200, "no free slot; try again");
	sweep_report_drop(s->report, order);
fail:
	if (s)
		lane_free(s);
	sweep_list_free(round);
	return 0;
}
