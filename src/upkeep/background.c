/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/background.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "mailbox/quota_domain.h"
#include "mailbox/volume.h"
#include "upkeep/sweep.h"
#include "upkeep/sweep_list.h"
#include "upkeep/sweep_report.h"
#include "upkeep/undo.h"

/* between two counts that nobody ordered; of one domain twice as long each time */
#define RECOUNT_GAP_MS 60000
#define RECOUNT_GAP_MOST_MS 3600000
#define TIDY_MS (INT64_C(6) * 3600 * 1000)
#define TIDY_FIRST_MS 10000
#define ASK_AGAIN_MS 60000
#define WALK_GAP_MS 5000 /* or as long as the last walk took */
#define WALK_AGAIN_MS 600000

static _Atomic int64_t recount_due_ms;
static _Atomic unsigned carrying;
static _Atomic uint64_t unmarked; /* of the last round */
/* serials of configurations: the one whose places were asked for, the one whose places are the
 * same */
static _Atomic uint64_t asked, unfit;
static _Atomic int64_t ask_ms; /* when next */
static _Atomic bool walking;
static _Atomic int64_t walk_began_ms, walk_ms; /* the last one; when next, at the earliest */

/* ---- doubtful domains ------------------------------------------------------------------------ */

static bool
look_at_domain(const char *domain, void *ctx)
{
	struct quota_usage u;

	(void)quota_domain_get(ctx, domain, &u); /* puts it on the list if it is doubtful */
	return true;
}

void
background_begin(struct conf *c)
{
	quota_domain_each(c, look_at_domain, c);
}

static void
count_doubtful(struct conf *c, int64_t now_ms)
{
	static struct sweep_order order = {.kind = SWEEP_RECOUNT}; /* the acceptor's */
	static char last[sizeof(order.domain)];
	static int64_t gap_ms;
	int64_t due = atomic_load(&recount_due_ms);
	char error[200];

	if (now_ms < due)
		return;
	atomic_store(&recount_due_ms, now_ms + 1000);
	if (!quota_domain_doubtful(order.domain))
		return;
	/* a domain whose mail never rests stays doubtful */
	gap_ms = strcmp(last, order.domain) != 0    ? RECOUNT_GAP_MS
		 : 2 * gap_ms < RECOUNT_GAP_MOST_MS ? 2 * gap_ms
						    : RECOUNT_GAP_MOST_MS;
	memcpy(last, order.domain, sizeof(last));
	if (sweep_start(c, &order, error) == 0)
		log_msg(LOG_LVL_WARNING, "quota", "domain %s is to be counted anew: %s",
			order.domain, error);
	atomic_store(&recount_due_ms, now_ms + gap_ms);
}

/* ---- is the undo storage a place of its own? ------------------------------------------------- */

/* Not known now: it is asked again, and until then each account's own places are enough. */
static void
places_over(struct conf *c, const struct sweep_order *o, const struct sweep_report *r)
{
	(void)o;
	if (r->rc == PM_EXISTS) {
		atomic_store(&unfit, c->serial);
		log_msg(LOG_LVL_ERROR, "undo", "%s. It stays hidden where it was deleted",
			r->error);
	} else if (r->rc != PM_OK) {
		atomic_store(&ask_ms, mono_ms() + ASK_AGAIN_MS);
		atomic_store(&asked, 0);
	}
}

/* Once with each configuration. False: the undo storage is not fit for use. */
static bool
is_apart(struct conf *c, int64_t now_ms)
{
	static const struct sweep_order order = {.kind = SWEEP_PLACES, .over = places_over};
	char error[200];

	if (atomic_load(&asked) != c->serial && now_ms >= atomic_load(&ask_ms)) {
		atomic_store(&asked, c->serial);
		if (sweep_start(c, &order, error) == 0)
			atomic_store(&asked, 0);
	}
	return atomic_load(&unfit) != c->serial;
}

/* ---- hidden mail goes there ------------------------------------------------------------------ */

static void
carry_over(struct conf *c, const struct sweep_order *o, const struct sweep_report *r)
{
	static struct log_rate rate;
	uint64_t held;

	(void)c;
	atomic_fetch_sub(&carrying, 1);
	if (r->rc == PM_OK || r->rc == PM_NOENT || r->rc == PM_CANCELLED)
		return; /* moved; or its account is gone; or the server ends */
	undo_again(o->user, o->tries + 1, mono_ms());
	if (r->rc == PM_BUSY)
		return;
	stat_add(STAT_UNDO_FAILED, 1);
	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "undo",
			"deleted mail of '%s' stays hidden in its mailbox for now: %s", o->user,
			r->error);
}

/* False: no more of them now. */
static bool
carry_next(struct conf *c, int64_t now_ms)
{
	static struct sweep_order order; /* the acceptor's */
	char error[200];

	/* several at once, as a sweep has several lanes */
	if (atomic_load(&carrying) >= sweep_lanes(c->undo->backend->limits.permits) ||
	    !undo_due(now_ms, order.user, &order.tries))
		return false;
	order.kind = SWEEP_CARRY;
	order.over = carry_over;
	atomic_fetch_add(&carrying, 1);
	if (sweep_start(c, &order, error) != 0)
		return true;
	atomic_fetch_sub(&carrying, 1);
	undo_again(order.user, order.tries, now_ms);
	return false;
}

/* More accounts waited than undo_waiting: a walk over all mailboxes finds what they have hidden. */
static void
walk_over(struct conf *c, const struct sweep_order *o, const struct sweep_report *r)
{
	bool all = r->rc == PM_OK && r->busy == 0 && r->failed == 0;
	int64_t now = mono_ms(), gap = now - atomic_load(&walk_began_ms);

	gap = !all ? WALK_AGAIN_MS : gap > WALK_GAP_MS ? gap : WALK_GAP_MS;
	(void)c;
	(void)o;
	if (!all)
		undo_miss();
	atomic_store(&walk_ms, now + gap);
	atomic_store(&walking, false);
	log_msg(all ? LOG_LVL_INFO : LOG_LVL_WARNING, "undo",
		"a walk over all mailboxes moved %llu deleted messages to the undo storage%s%s%s",
		(unsigned long long)r->messages, all ? "" : ", and comes again in ten minutes",
		r->error[0] ? ": " : "", r->error);
}

static void
walk(struct conf *c, int64_t now_ms)
{
	static const struct sweep_order order = {.kind = SWEEP_CARRY, .over = walk_over};
	char error[200];

	if (now_ms < atomic_load(&walk_ms) || atomic_load(&walking) || !undo_missed())
		return;
	log_msg(LOG_LVL_NOTICE, "undo",
		"more than undo_waiting = %u accounts had deleted mail to be moved: all mailboxes "
		"are walked for it",
		c->undo_waiting);
	atomic_store(&walking, true);
	atomic_store(&walk_began_ms, now_ms);
	if (sweep_start(c, &order, error) != 0)
		return;
	undo_miss();
	atomic_store(&walk_ms, now_ms + WALK_GAP_MS);
	atomic_store(&walking, false);
}

/* ---- what is over there is deleted ----------------------------------------------------------- */

uint64_t
background_unmarked(void)
{
	return atomic_load(&unmarked);
}

static void
tidy_over(struct conf *c, const struct sweep_order *o, const struct sweep_report *r)
{
	const char *name = c->undo->name;

	(void)o;
	log_msg(r->rc == PM_OK ? LOG_LVL_INFO : LOG_LVL_WARNING, "undo",
		"storage section %s: %llu messages whose time was over were "
		"deleted%s%s",
		name, (unsigned long long)r->messages, r->error[0] ? "; " : "", r->error);
	atomic_store(&unmarked, r->unmarked);
	if (r->unmarked > 0)
		log_msg(LOG_LVL_WARNING, "undo",
			"storage section %s: %llu messages there do not say that restante moved "
			"them: they are "
			"kept; restantectl undelete USER --all brings them back, restantectl "
			"expire USER --unmarked deletes them",
			name, (unsigned long long)r->unmarked);
}

static void
tidy(struct conf *c, int64_t now_ms)
{
	static const struct sweep_order order = {.kind = SWEEP_TIDY, .over = tidy_over};
	static int64_t tidy_ms; /* the acceptor's */
	char error[200];

	if (tidy_ms == 0)
		tidy_ms = now_ms + TIDY_FIRST_MS;
	if (now_ms < tidy_ms)
		return;
	tidy_ms = now_ms + TIDY_MS;
	if (sweep_start(c, &order, error) == 0)
		log_msg(LOG_LVL_WARNING, "undo", "the undo storage is to be tidied: %s", error);
}

void
background_tick(struct conf *c, int64_t now_ms)
{
	count_doubtful(c, now_ms);
	if (!c->undo || !volume_ready(c->undo->backend->vol) || !is_apart(c, now_ms))
		return;
	while (carry_next(c, now_ms))
		;
	walk(c, now_ms);
	tidy(c, now_ms);
}
