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
#include "mailbox/volume.h"
#include "upkeep/sweep_impl.h"

#define PAGE 64
#define SWEEP_MS (INT64_C(7) * 86400 * 1000)

/* ---- from mailbox to mailbox ----------------------------------------------------------------- */

/* What became of the mailbox at hand. */
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

/* Whose is it? */
static void
begin_lookup(struct sweep *s)
{
	find_begin(&s->box.find, s->conf, "ctl", "", false, s->box.name);
	s->phase = SWEEP_LOOKUP;
}

static bool
begin_box(struct sweep *s, struct errand *e, const char *key, size_t n)
{
	bool undo = s->conf->storage[s->section].for_undo;
	int32_t rc;

	sweep_box_free(&s->box);
	arena_reset(&e->arena);
	if (!(undo ? sweep_undo_name(s, key, n) : chain_name(s->conf, key, n, s->box.name))) {
		count_box(s, e, PM_NOENT);
		return false;
	}
	if (s->order.domain[0]) {
		const char *at = strrchr(s->box.name, '@');

		if (!at || strcmp(at + 1, s->order.domain) != 0)
			return false; /* another domain's */
	}
	if (!undo) {
		begin_lookup(s);
		return true;
	}
	rc = sweep_undo_box(s, e);
	if (rc != PM_AGAIN)
		count_box(s, e, rc);
	return rc == PM_AGAIN;
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

static bool
begin_section(struct sweep *s)
{
	s->phase = SWEEP_LIST;
	return sweep_next_section(s) != NULL;
}

/* All of it once more. */
static int32_t
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
	return begin_section(s) ? PM_AGAIN : PM_OK;
}

/* The stores that count domains themselves, one after another. */
static int32_t
step_domain(struct sweep *s, struct errand *e)
{
	struct backend *b;
	int32_t rc = PM_OK;

	s->phase = SWEEP_DOMAIN;
	while (rc == PM_OK && (b = sweep_domain_next(s))) {
		rc = sweep_domain_step(s, e, b);
		s->section += rc == PM_OK;
	}
	return rc;
}

/* All mailboxes were looked at. */
static int32_t
end_list(struct sweep *s, struct errand *e)
{
	int32_t rc = s->order.kind == SWEEP_RECOUNT ? sweep_domain_end(s) : PM_OK;

	if (rc == PM_AGAIN)
		return begin_again(s);
	if (rc != PM_OK || s->order.kind != SWEEP_RECOUNT)
		return rc;
	s->section = 0;
	return step_domain(s, e);
}

/* The next mailbox, page or section. */
static int32_t
go_on(struct sweep *s, struct errand *e)
{
	if (s->order.user[0])
		return PM_OK; /* it was the only one */
	if (caller_should_end(&e->caller))
		return PM_CANCELLED;
	while (s->page_at < s->page_n) {
		const struct pm_box *b = &s->page[s->page_at++];

		if (begin_box(s, e, b->key, b->key_len))
			return PM_AGAIN;
	}
	if (s->last_page) {
		s->section++;
		s->cursor_n = 0;
		s->last_page = false;
	}
	if (begin_section(s))
		return PM_AGAIN;
	return end_list(s, e);
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
end_box(struct sweep *s, struct errand *e, int32_t rc)
{
	count_box(s, e, rc);
	if (s->order.user[0])
		return rc;
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
	if (rc == PM_OK)
		rc = sweep_box_begin(s, e);
	return rc == PM_AGAIN ? rc : end_box(s, e, rc);
}

static int32_t
sweep_run(struct errand *e)
{
	struct sweep *s = e->ctx;
	int32_t rc;

	if (s->order.kind == SWEEP_PLACES)
		return sweep_place_all(s, e);
	if (s->phase == SWEEP_LIST)
		return step_list(s, e);
	if (s->phase == SWEEP_LOOKUP)
		return step_lookup(s, e);
	if (s->phase == SWEEP_DOMAIN && !s->order.user[0])
		return step_domain(s, e);
	rc = sweep_box_step(s, e);
	return rc == PM_AGAIN ? rc : end_box(s, e, rc);
}

static const char *
kind_name(enum sweep_kind k)
{
	static const char *const names[] = {"expire", "recount", "undelete", "usage",
					    "undo",   "undo",    "undo"};

	return names[k];
}

static void
sweep_finish(struct errand *e, int32_t rc)
{
	struct sweep *s = e->ctx;
	struct sweep_report *r = s->report;
	uint64_t boxes, messages;
	char error[200];

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
	boxes = r->boxes;
	messages = r->messages;
	if (rc == PM_NOENT && s->order.user[0] && !r->error[0])
		snprintf(r->error, sizeof(r->error), "no auth section knows an account '%.150s'",
			 s->order.user);
	else if (rc != PM_OK && !r->error[0])
		snprintf(r->error, sizeof(r->error), "%s %s%s", host_code_name(rc),
			 e->call.error[0] ? e->call.error : "section ",
			 e->call.error[0] ? ""
			 : s->box.storage ? s->box.storage->section
					  : "of accounts");
	snprintf(error, sizeof(error), "%.199s", r->error);
	pthread_mutex_unlock(s->mutex);
	if (sweep_in_background(&s->order))
		sweep_undo_end(s, rc, error);
	else if (s->order.kind != SWEEP_USAGE)
		log_msg(LOG_LVL_NOTICE, "sweep",
			"%s%s of %s: %s; %llu mailboxes, %llu messages%s%s",
			kind_name(s->order.kind), s->order.dry_run ? " (dry run)" : "",
			s->order.user[0]     ? s->order.user
			: s->order.domain[0] ? s->order.domain
					     : "all",
			rc == PM_OK ? "done" : host_code_name(rc), (unsigned long long)boxes,
			(unsigned long long)messages, error[0] ? "; " : "", error);
	sweep_box_free(&s->box);
	if (sweep_in_background(&s->order))
		sweep_report_drop(s);
	free(s->page);
	free(s);
}

/* Sets what is done first. False: there is nothing to do. */
static bool
sweep_first(struct sweep *s)
{
	if (s->order.user[0]) {
		memcpy(s->box.name, s->order.user, sizeof(s->box.name));
		begin_lookup(s);
		return chain_next(s->conf, s->order.user, 0) >= 0;
	}
	if (s->order.kind == SWEEP_PLACES)
		return true;
	s->phase = s->order.kind == SWEEP_USAGE ? SWEEP_DOMAIN : SWEEP_LIST;
	return (s->phase == SWEEP_DOMAIN ? sweep_domain_next(s) : sweep_next_section(s)) != NULL;
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
	if (!sweep_report_new(s, ret_error))
		goto fail;
	id = s->report->id;
	if (errand_start(&e))
		return id;
	snprintf(ret_error, 200, "no free slot; try again");
	sweep_report_drop(s);
fail:
	if (s)
		free(s->page);
	free(s);
	return 0;
}
