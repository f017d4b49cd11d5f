/* SPDX-License-Identifier: Apache-2.0 */
/* The way from mailbox to mailbox. */
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
#include "mailbox/volume.h"
#include "upkeep/sweep_box.h"
#include "upkeep/sweep_domain.h"
#include "upkeep/sweep_place.h"
#include "upkeep/sweep_report.h"
#include "upkeep/sweep_state.h"
#include "upkeep/sweep_undo.h"

#define PAGE 64
#define SWEEP_MS (INT64_C(7) * 86400 * 1000)

/* ---- from mailbox to mailbox ----------------------------------------------------------------- */

/* Counts the result of the mailbox at hand. */
static void
count_box(struct sweep *s, const struct errand *e, int32_t rc)
{
	struct sweep_report *r = s->report;

	pthread_mutex_lock(s->mutex);
	if (s->order.user[0] || s->order.kind == SWEEP_TIDY ||
	    !s->conf->storage[s->section].for_undo)
		r->boxes++;
	if (rc == PM_NOENT)
		r->no_account++;
	else if (rc == PM_BUSY)
		r->busy++;
	else if (rc != PM_OK)
		r->failed++;
	if (rc != PM_OK && rc != PM_BUSY && rc != PM_NOENT)
		snprintf(r->error, sizeof(r->error), "%s: %s %s", s->box.name, host_code_name(rc),
			 e->call.error);
	pthread_mutex_unlock(s->mutex);
}

/* Whose mailbox is it? */
static int32_t
begin_lookup(struct sweep *s)
{
	find_begin(&s->box.find, s->conf, "ctl", "", false, s->box.name);
	return sweep_go(s, SWEEP_LOOKUP);
}

/* The mailbox of that key; false: it is passed over. *ret_rc: what its step returns. */
static bool
begin_box(struct sweep *s, struct errand *e, const struct pm_box *b, int32_t *ret_rc)
{
	bool undo = s->conf->storage[s->section].for_undo;

	sweep_box_free(&s->box);
	arena_reset(&e->arena);
	if (!(undo ? sweep_undo_name(s, b->key, b->key_len)
		   : chain_name(s->conf, b->key, b->key_len, s->box.name))) {
		count_box(s, e, PM_NOENT);
		return false;
	}
	if (s->order.domain[0]) {
		const char *at = strrchr(s->box.name, '@');

		if (!at || strcmp(at + 1, s->order.domain) != 0)
			return false; /* another domain's */
	}
	*ret_rc = undo ? sweep_undo_box(s, e) : begin_lookup(s);
	return true;
}

/* Is there anything to do for this sweep in that section? */
static bool
goes_to(const struct sweep *s, const struct conf_section *x)
{
	if (x->only_wrapped)
		return false;
	if (s->order.kind == SWEEP_TIDY)
		return x->for_undo;
	return s->order.kind == SWEEP_EXPIRE || !x->for_undo;
}

/* The first one from s->section on; NULL: there is none. */
static struct backend *
sweep_next_section(struct sweep *s)
{
	while (s->section < s->conf->n_storage && !goes_to(s, &s->conf->storage[s->section]))
		s->section++;
	return s->section < s->conf->n_storage ? s->conf->storage[s->section].backend : NULL;
}

/* All of it again. */
static void
begin_again(struct sweep *s)
{
	pthread_mutex_lock(s->mutex);
	s->report->boxes = s->report->messages = s->report->octets = 0;
	pthread_mutex_unlock(s->mutex);
	s->section = 0;
	s->cursor_n = s->page_n = s->page_at = 0;
	s->last_page = false;
	s->marked = false;
	s->settle_waits = 0;
}

/* All mailboxes were looked at. */
static int32_t
end_list(struct sweep *s)
{
	int32_t rc = s->order.kind == SWEEP_RECOUNT ? sweep_domain_set(s) : PM_OK;

	if (rc == PM_AGAIN) {
		begin_again(s);
		return sweep_next_section(s) ? sweep_go(s, SWEEP_LIST) : sweep_end(s, PM_OK);
	}
	if (rc != PM_OK || s->order.kind != SWEEP_RECOUNT)
		return sweep_end(s, rc);
	s->section = 0;
	return sweep_go(s, SWEEP_DOMAINS);
}

/* The next mailbox, page or section. */
static int32_t
go_on(struct sweep *s, struct errand *e)
{
	int32_t rc;

	if (caller_should_end(&e->caller))
		return sweep_end(s, PM_CANCELLED);
	while (s->page_at < s->page_n)
		if (begin_box(s, e, &s->page[s->page_at++], &rc))
			return rc;
	if (s->last_page) {
		s->section++;
		s->cursor_n = 0;
		s->last_page = false;
	}
	return sweep_next_section(s) ? sweep_go(s, SWEEP_LIST) : end_list(s);
}

/* The mailbox at hand is done. */
static int32_t
step_next(struct sweep *s, struct errand *e)
{
	if (s->order.kind == SWEEP_PLACES)
		return sweep_end(s, s->box.rc);
	count_box(s, e, s->box.rc);
	return s->order.user[0] ? sweep_end(s, s->box.rc) : go_on(s, e);
}

static int32_t
step_list(struct sweep *s, struct errand *e)
{
	struct backend *b = s->conf->storage[s->section].backend;
	int32_t rc =
		caller_enter(&e->caller, b, CALL_BEGIN, "box_list", b->limits.scan_ms, &e->call);

	if (rc == PM_AGAIN)
		return rc;
	if (!sweep_domain_mark(s))
		return PM_AGAIN;
	for (size_t i = 0; i < PAGE; i++)
		s->page[i] = (struct pm_box){.size = sizeof(struct pm_box)};
	s->page_n = s->page_at = 0;
	if (rc == PM_OK)
		rc = volume_find(b->vol, NULL, e->call.error, sizeof(e->call.error));
	if (rc == PM_OK)
		rc = caller_done(&e->caller, host_box_list(b->inst, &e->call,
							   (struct pm_str){s->cursor, s->cursor_n},
							   PAGE, s->page, &s->page_n));
	if (rc == PM_AGAIN)
		return caller_ask(&e->caller, b, CALL_CONTINUE);
	s->last_page = rc != PM_OK || s->page_n < PAGE;
	if (rc != PM_OK) {
		s->page_n = 0;
		pthread_mutex_lock(s->mutex);
		s->report->failed++;
		snprintf(s->report->error, sizeof(s->report->error),
			 rc == PM_UNSUPPORTED
				 ? "storage section %s cannot list its mailboxes: name the users "
				   "one by one. %s"
				 : "storage section %s: its mailboxes cannot be listed: %s",
			 b->section, e->call.error);
		pthread_mutex_unlock(s->mutex);
	} else if (s->page_n > 0) {
		const struct pm_box *last = &s->page[s->page_n - 1];

		s->cursor_n = last->cursor_len;
		memcpy(s->cursor, last->cursor, s->cursor_n);
	}
	return go_on(s, e);
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
		[SWEEP_LIST] = step_list,
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

static void
sweep_finish(struct errand *e, int32_t rc)
{
	struct sweep *s = e->ctx;
	struct sweep_report *r = s->report;

	if (s->order.kind == SWEEP_USAGE && s->box.limits.domain_counted) {
		struct quota_usage u = {0};
		int32_t domain_rc = quota_domain_get(s->conf, s->box.limits.domain, &u);

		pthread_mutex_lock(s->mutex);
		r->domain_usage = u;
		r->domain_rc = domain_rc;
		pthread_mutex_unlock(s->mutex);
	}
	pthread_mutex_lock(s->mutex);
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
	pthread_mutex_unlock(s->mutex);
	if (s->order.over)
		s->order.over(s->conf, &s->order, r); /* nobody else sees this report */
	sweep_box_free(&s->box);
	if (s->order.over)
		sweep_report_drop(r, &s->order);
	free(s->page);
	free(s);
}

/* Sets the first phase. False: there is nothing to do. */
static bool
sweep_first(struct sweep *s)
{
	if (s->order.user[0]) {
		memcpy(s->box.name, s->order.user, sizeof(s->box.name));
		(void)begin_lookup(s);
		return chain_next(s->conf, s->order.user, 0) >= 0;
	}
	s->phase = s->order.kind == SWEEP_PLACES  ? SWEEP_ALL_PLACES
		   : s->order.kind == SWEEP_USAGE ? SWEEP_DOMAINS
						  : SWEEP_LIST;
	if (s->phase == SWEEP_ALL_PLACES)
		return true;
	return (s->phase == SWEEP_DOMAINS ? sweep_domain_next(s) : sweep_next_section(s)) != NULL;
}

uint64_t
sweep_start(struct conf *c, const struct sweep_order *order, char *ret_error)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct errand e = {.conf = c,
			   .name = kind_name(order->kind),
			   .run = sweep_run,
			   .finish = sweep_finish,
			   .ctx = s,
			   .deadline_ms = mono_ms() + SWEEP_MS};
	uint64_t id = 0;

	if (s)
		s->page = calloc(PAGE, sizeof(*s->page));
	if (!s || !s->page) {
		snprintf(ret_error, 200, "no memory");
		goto fail;
	}
	s->conf = c;
	s->order = *order;
	if (!sweep_first(s)) {
		snprintf(ret_error, 200, "no auth section is asked about '%.100s'", order->user);
		goto fail;
	}
	s->report = sweep_report_new(order, &s->mutex, ret_error);
	if (!s->report)
		goto fail;
	id = s->report->id;
	if (errand_start(&e))
		return id;
	snprintf(ret_error, 200, "no free slot; try again");
	sweep_report_drop(s->report, order);
fail:
	if (s)
		free(s->page);
	free(s);
	return 0;
}
