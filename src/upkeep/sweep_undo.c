/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The undo storage's part in a sweep: hidden mail is moved there, comes back from there, and is
 * deleted there when its time is over. Its mailboxes are named after accounts; whose account is
 * gone is known by nothing else.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "mailbox/volume.h"
#include "upkeep/sweep_impl.h"
#include "upkeep/undo.h"

#define CARRIES_MAX 2 /* at once */
#define TIDY_MS (INT64_C(6) * 3600 * 1000)
#define TIDY_FIRST_MS 10000
#define ASK_AGAIN_MS 60000

static _Atomic unsigned carrying;
static _Atomic uint64_t unmarked; /* of the last round */
/* serials of configurations: whose places were asked for, whose are the same */
static _Atomic uint64_t asked, unfit;
static _Atomic int64_t ask_ms; /* when next */

/* ---- moves ----------------------------------------------------------------------------------- */

static bool
wants_hidden(const struct pm_msg *m, void *ctx)
{
	(void)ctx;
	return (m->flags & PM_MSG_HIDDEN) != 0;
}

static bool
wants_back(const struct pm_msg *m, void *ctx)
{
	return sweep_wants(ctx, m);
}

static int32_t
sweep_undo_start(struct sweep *s, struct errand *e)
{
	struct transfer *m = &s->box.transfer;

	m->conf = s->conf;
	m->ctx = s;
	s->phase = SWEEP_TRANSFER;
	return transfer_begin(m) ? sweep_undo_move(s, e) : m->rc;
}

static int32_t
move_out(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	b->transfer.from = (struct transfer_side){.visit.store = b->storage, .user = &b->user};
	b->transfer.to = (struct transfer_side){.visit.store = s->conf->undo->backend,
						.user = &b->undo_user};
	b->transfer.wants = wants_hidden;
	b->transfer.first_retrieved_ms =
		UNDO_MARK_MS + retention_keep_until(&b->retention, true, wall_ms());
	return sweep_undo_start(s, e);
}

static int32_t
move_back(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	b->unlimited = b->user; /* who was given it once is given it back */
	b->unlimited.quota_octets = b->unlimited.quota_msgs = b->unlimited.domain_octets =
		b->unlimited.domain_msgs = 0;
	b->transfer.from = (struct transfer_side){.visit.store = b->storage, .user = &b->undo_user};
	b->transfer.to = (struct transfer_side){.visit.store = b->home, .user = &b->unlimited};
	b->transfer.wants = wants_back;
	b->transfer.count = &b->limits;
	b->transfer.to_maildrop = true;
	return sweep_undo_start(s, e);
}

/* Is the account's part of the undo storage looked at, too? In a sweep over all it is in a list
 * of its own. */
static bool
sweep_undo_tidies(const struct sweep *s)
{
	return s->order.kind == SWEEP_EXPIRE && s->order.user[0];
}

static int32_t
open_undo(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	b->home = b->storage;
	b->storage = s->conf->undo->backend;
	b->in_undo = true;
	b->hidden = false;
	return sweep_box_open(s, e);
}

int32_t
sweep_undo_move(struct sweep *s, struct errand *e)
{
	struct transfer *m = &s->box.transfer;
	bool back = s->order.kind == SWEEP_UNDELETE;
	int32_t rc = transfer_step(m, &e->caller);

	if (rc == PM_AGAIN)
		return rc;
	if (!back)
		stat_add(STAT_UNDO_MOVED, m->messages);
	if (back || s->order.kind == SWEEP_CARRY) {
		pthread_mutex_lock(s->mutex);
		s->report->messages += back ? m->copies : m->messages;
		s->report->octets += back ? m->copied_octets : m->octets;
		pthread_mutex_unlock(s->mutex);
	}
	if (rc != PM_OK)
		snprintf(e->call.error, sizeof(e->call.error), "%.60s: %.180s", s->conf->undo->name,
			 m->text);
	return rc == PM_OK && sweep_undo_tidies(s) ? open_undo(s, e) : rc;
}

/* ---- one account ----------------------------------------------------------------------------- */

int32_t
sweep_undo_next(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	bool undelete = s->order.kind == SWEEP_UNDELETE;

	if (!s->conf->undo || (b->in_undo && !undelete))
		return PM_OK;
	if (b->in_undo)
		return b->chosen > 0 && !s->order.dry_run ? move_back(s, e) : PM_OK;
	undo_user(&b->user, &b->undo_user);
	if (undelete)
		return sweep_place_ask(s, e, open_undo);
	if (b->hidden && !s->order.dry_run && b->retention.undo_days > 0)
		return sweep_place_ask(s, e, move_out);
	return sweep_undo_tidies(s) ? sweep_place_ask(s, e, open_undo) : PM_OK;
}

int32_t
sweep_undo_begin(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	if (!s->conf->undo || !b->storage->can_hide || b->retention.undo_days == 0)
		return PM_OK;
	undo_user(&b->user, &b->undo_user);
	return sweep_place_ask(s, e, move_out);
}

/* ---- the undo storage's own mailboxes -------------------------------------------------------- */

bool
sweep_undo_name(struct sweep *s, const char *key, size_t n)
{
	if (n == 0 || n > PM_NAME_MAX || memchr(key, '\0', n))
		return false;
	memcpy(s->box.name, key, n);
	s->box.name[n] = '\0';
	return true;
}

int32_t
sweep_undo_box(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	host_user_init(&b->user);
	b->user.name = (struct pm_str){b->name, strlen(b->name)};
	undo_user(&b->user, &b->undo_user);
	b->storage = s->conf->undo->backend;
	b->now_ms = wall_ms();
	return open_undo(s, e);
}

/* A date without the mark may be anything: of a maildrop in the same place, when its owner
 * retrieved it. */
bool
sweep_undo_due(struct sweep *s, const struct pm_msg *m)
{
	bool marked = m->first_retrieved_ms >= UNDO_MARK_MS;

	if (!marked && !s->order.unmarked) {
		pthread_mutex_lock(s->mutex);
		s->report->unmarked++;
		pthread_mutex_unlock(s->mutex);
		return false;
	}
	return m->first_retrieved_ms > 0 &&
	       m->first_retrieved_ms - (marked ? UNDO_MARK_MS : 0) <= s->box.now_ms;
}

/* ---- the background -------------------------------------------------------------------------- */

static void
tidy_end(const struct sweep *s, int32_t rc, const char *error)
{
	const char *name = s->conf->undo->name;

	log_msg(rc == PM_OK ? LOG_LVL_INFO : LOG_LVL_WARNING, "undo",
		"storage section %s: %llu messages whose time was over were "
		"deleted%s%s",
		name, (unsigned long long)s->report->messages, error[0] ? "; " : "", error);
	atomic_store(&unmarked, s->report->unmarked);
	if (s->report->unmarked > 0)
		log_msg(LOG_LVL_WARNING, "undo",
			"storage section %s: %llu messages there do not say that restante moved "
			"them: they are "
			"kept; restantectl undelete USER --all brings them back, restantectl "
			"expire USER --unmarked deletes them",
			name, (unsigned long long)s->report->unmarked);
}

/* Not known now: asked again, and until then each account's own places are enough. */
static void
places_end(const struct sweep *s, int32_t rc, const char *error)
{
	if (rc == PM_EXISTS) {
		atomic_store(&unfit, s->conf->serial);
		log_msg(LOG_LVL_ERROR, "undo", "%s. It stays hidden where it was deleted", error);
	} else if (rc != PM_OK) {
		atomic_store(&ask_ms, mono_ms() + ASK_AGAIN_MS);
		atomic_store(&asked, 0);
	}
}

/* Once with each configuration. False: it is not fit to be used. */
static bool
is_apart(struct conf *c, int64_t now_ms)
{
	static const struct sweep_order order = {.kind = SWEEP_PLACES};
	char error[200];

	if (atomic_load(&asked) != c->serial && now_ms >= atomic_load(&ask_ms)) {
		atomic_store(&asked, c->serial);
		if (sweep_start(c, &order, error) == 0)
			atomic_store(&asked, 0);
	}
	return atomic_load(&unfit) != c->serial;
}

uint64_t
sweep_unmarked(void)
{
	return atomic_load(&unmarked);
}

void
sweep_undo_end(struct sweep *s, int32_t rc, const char *error)
{
	static struct log_rate rate;
	uint64_t held;

	if (s->order.kind == SWEEP_PLACES)
		return places_end(s, rc, error);
	if (s->order.kind == SWEEP_TIDY)
		return tidy_end(s, rc, error);
	atomic_fetch_sub(&carrying, 1);
	if (rc == PM_OK || rc == PM_NOENT || rc == PM_CANCELLED)
		return; /* moved; whose account is gone; the server ends */
	undo_again(s->order.user, s->order.tries + 1, mono_ms());
	if (rc == PM_BUSY)
		return;
	stat_add(STAT_UNDO_FAILED, 1);
	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "undo",
			"deleted mail of '%s' stays hidden in its mailbox for now: %s",
			s->order.user, error);
}

void
sweep_undo_tick(struct conf *c, int64_t now_ms)
{
	static struct sweep_order order; /* the acceptor's, as is what follows */
	static int64_t tidy_ms;
	char error[200];

	if (!c->undo || !volume_ready(c->undo->backend->vol) || !is_apart(c, now_ms))
		return;
	while (atomic_load(&carrying) < CARRIES_MAX && undo_due(now_ms, order.user, &order.tries)) {
		order.kind = SWEEP_CARRY;
		atomic_fetch_add(&carrying, 1);
		if (sweep_start(c, &order, error) != 0)
			continue;
		atomic_fetch_sub(&carrying, 1);
		undo_again(order.user, order.tries, now_ms);
		return;
	}
	if (tidy_ms == 0)
		tidy_ms = now_ms + TIDY_FIRST_MS;
	if (now_ms < tidy_ms)
		return;
	tidy_ms = now_ms + TIDY_MS;
	order = (struct sweep_order){.kind = SWEEP_TIDY};
	if (sweep_start(c, &order, error) == 0)
		log_msg(LOG_LVL_WARNING, "undo", "the undo storage is to be tidied: %s", error);
}
