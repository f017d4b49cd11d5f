/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/sweep_undo.h"

#include <stdio.h>
#include <string.h>

#include "base/clock_note.h"
#include "base/stats.h"
#include "upkeep/sweep_box.h"
#include "upkeep/sweep_place.h"
#include "upkeep/undo.h"

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
	return sweep_box_wants(ctx, m);
}

static int32_t
sweep_undo_start(struct sweep *s)
{
	struct transfer *m = &s->box.transfer;

	m->conf = s->conf;
	m->ctx = s;
	return transfer_begin(m) ? sweep_go(s, SWEEP_TRANSFER) : sweep_end_box(s, m->rc);
}

static int32_t
move_out(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	(void)e;
	b->transfer.from = (struct transfer_side){.visit.store = b->storage, .user = &b->user};
	b->transfer.to = (struct transfer_side){.visit.store = s->conf->undo->backend,
						.user = &b->undo_user};
	b->transfer.wants = wants_hidden;
	b->transfer.first_retrieved_ms =
		UNDO_MARK_MS + retention_keep_until(&b->retention, true, clock_mark_ms());
	return sweep_undo_start(s);
}

static int32_t
move_back(struct sweep *s)
{
	struct sweep_box *b = &s->box;

	b->unlimited = b->user; /* mail that was accepted once is restored whatever the quota */
	b->unlimited.quota_octets = b->unlimited.quota_msgs = b->unlimited.domain_octets =
		b->unlimited.domain_msgs = 0;
	b->transfer.from = (struct transfer_side){.visit.store = b->storage, .user = &b->undo_user};
	b->transfer.to = (struct transfer_side){.visit.store = b->home, .user = &b->unlimited};
	b->transfer.wants = wants_back;
	b->transfer.count = &b->limits;
	b->transfer.to_maildrop = true;
	return sweep_undo_start(s);
}

/* Is the account's part of the undo storage visited, too? A sweep over all accounts lists it by
 * itself. */
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
	return sweep_box_visit(s, e);
}

int32_t
sweep_undo_transfer(struct sweep *s, struct errand *e)
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
	s->box.gave_way = rc == PM_BUSY;
	if (rc != PM_OK)
		snprintf(e->call.error, sizeof(e->call.error), "%.60s: %.180s", s->conf->undo->name,
			 m->text);
	return rc == PM_OK && sweep_undo_tidies(s) ? open_undo(s, e) : sweep_end_box(s, rc);
}

/* ---- one account ----------------------------------------------------------------------------- */

int32_t
sweep_undo_next(struct sweep *s)
{
	struct sweep_box *b = &s->box;
	bool undelete = s->order.kind == SWEEP_UNDELETE;

	if (!s->conf->undo || (b->in_undo && !undelete))
		return sweep_end_box(s, PM_OK);
	if (b->in_undo)
		return b->chosen > 0 && !s->order.dry_run ? move_back(s) : sweep_end_box(s, PM_OK);
	undo_user(&b->user, &b->undo_user);
	if (undelete)
		return sweep_place_ask(s, open_undo);
	if (b->hidden && !s->order.dry_run && b->retention.undo_days > 0)
		return sweep_place_ask(s, move_out);
	return sweep_undo_tidies(s) ? sweep_place_ask(s, open_undo) : sweep_end_box(s, PM_OK);
}

int32_t
sweep_undo_begin(struct sweep *s)
{
	struct sweep_box *b = &s->box;

	if (!s->conf->undo || !b->storage->can_hide || b->retention.undo_days == 0)
		return sweep_end_box(s, PM_OK);
	undo_user(&b->user, &b->undo_user);
	return sweep_place_ask(s, move_out);
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
	b->now_ms = clock_mark_ms();
	b->expire_ms = clock_expire_ms();
	return open_undo(s, e);
}

/* A date without the mark may mean anything: in a maildrop in the same place, the time when its
 * owner retrieved it. */
bool
sweep_undo_due(struct sweep *s, const struct pm_msg *m)
{
	bool marked = m->first_retrieved_ms >= UNDO_MARK_MS;

	if (!marked && !s->order.unmarked) {
		s->box.unmarked++;
		return false;
	}
	return m->first_retrieved_ms > 0 &&
	       m->first_retrieved_ms - (marked ? UNDO_MARK_MS : 0) <= s->box.expire_ms;
}
