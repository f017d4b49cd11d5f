/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep does with one mailbox: a session without a client. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/secret.h"
#include "mailbox/volume.h"
#include "upkeep/sweep_impl.h"

#define SLICE 128

void
sweep_box_free(struct sweep_box *b)
{
	free(b->user_mem);
	free(b->map);
	transfer_fini(&b->move);
	memset(b, 0, sizeof(*b));
}

int32_t
sweep_box_begin(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	bool stat = s->order.kind == SWEEP_RECOUNT || s->order.kind == SWEEP_USAGE;

	quota_limits(b->storage, &b->user, &b->limits);
	retention_of(s->conf, &b->user, &b->retention);
	/* said at logins */
	(void)retention_fit(&b->retention, b->storage->can_mark, b->storage->can_hide);
	b->now_ms = wall_ms();
	s->ours = s->ours || !b->storage->counts;
	if (s->order.kind == SWEEP_UNDELETE && !b->storage->can_hide)
		return PM_UNSUPPORTED;
	if (s->order.kind == SWEEP_EXPIRE && !retention_wants_dates(&b->retention, &b->user) &&
	    !b->storage->can_hide)
		return PM_OK; /* there is nothing to expire */
	if (s->order.kind == SWEEP_CARRY)
		return sweep_undo_begin(s, e);
	if (!stat)
		return sweep_box_open(s, e);
	s->phase = SWEEP_STAT;
	errand_go(e, b->storage, CALL_BEGIN);
	e->call_ms = b->storage->limits.scan_ms;
	return PM_AGAIN;
}

/* ---- totals ---------------------------------------------------------------------------------- */

static int32_t
step_stat(struct sweep *s, struct errand *e)
{
	struct pm_stat st = {.size = sizeof(st)};
	struct sweep_box *b = &s->box;
	/* a domain that is counted once more because mail came meanwhile was counted anew a
	 * moment ago */
	bool anew = s->order.anew && s->counts == 0 && !b->asked;
	int32_t rc =
		b->asked ? PM_OK
			 : volume_find(b->storage->vol, NULL, e->call.error, sizeof(e->call.error));

	if (rc != PM_OK)
		return rc;
	rc = (anew ? host_box_recount : host_box_stat)(b->storage->inst, &e->call, &b->user, &st);
	b->asked = true;
	if (rc == PM_AGAIN || (rc != PM_OK && rc != PM_NOENT))
		return rc;
	pthread_mutex_lock(s->mutex);
	s->report->messages += st.count;
	s->report->octets += st.octets;
	if (s->order.kind == SWEEP_USAGE) {
		s->report->stat = st;
		s->report->limits = b->limits;
		strncpy(s->report->section, b->storage->section, sizeof(s->report->section) - 1);
	}
	pthread_mutex_unlock(s->mutex);
	if (s->order.kind == SWEEP_RECOUNT || !b->limits.store_counts || !b->limits.domain[0])
		return PM_OK;
	s->phase = SWEEP_DOMAIN; /* the same store */
	return PM_AGAIN;
}

/* ---- a session ------------------------------------------------------------------------------- */

static int32_t
to_close(struct sweep *s)
{
	s->phase = SWEEP_CLOSE;
	return PM_AGAIN;
}

int32_t
sweep_box_open(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	free(b->map);
	b->map = NULL;
	b->count = b->at = b->chosen = b->chosen_octets = 0;
	s->phase = SWEEP_OPEN;
	errand_go(e, b->storage, CALL_BEGIN);
	e->call_ms = b->storage->limits.scan_ms;
	return PM_AGAIN;
}

static int32_t
step_open(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	uint32_t flags = PM_OPEN_EXCLUSIVE | (b->storage->can_hide ? PM_OPEN_HIDDEN : 0);
	int32_t rc =
		b->mbox ? PM_OK
			: volume_find(b->storage->vol, NULL, e->call.error, sizeof(e->call.error));

	if (rc != PM_OK)
		return rc;
	rc = host_mbox_open(b->storage->inst, &e->call, b->in_undo ? &b->undo_user : &b->user,
			    flags, &b->count, &b->mbox);
	if (rc == PM_AGAIN && errand_should_end(e)) {
		host_mbox_close(b->storage->inst, b->mbox, &e->call);
		b->mbox = NULL;
		e->holding = false;
		return PM_CANCELLED;
	}
	e->holding = rc == PM_AGAIN || rc == PM_OK;
	if (rc != PM_OK)
		return rc;
	b->map = calloc(1, b->count / 8 + 1);
	s->phase = b->map && b->count > 0 ? SWEEP_INFO : SWEEP_CLOSE;
	return PM_AGAIN;
}

bool
sweep_wants(const struct sweep *s, const struct pm_msg *m)
{
	const struct sweep_order *o = &s->order;

	for (size_t i = 0; i < o->n_uidls; i++)
		if (strlen(o->uidls[i]) == m->uidl_len &&
		    memcmp(o->uidls[i], m->uidl, m->uidl_len) == 0)
			return true;
	return o->n_uidls == 0;
}

static void
note_found(struct sweep *s, const struct pm_msg *m)
{
	struct sweep_report *r = s->report;
	struct sweep_found *f;

	pthread_mutex_lock(s->mutex);
	if (r->n_found < SWEEP_UIDLS) {
		f = &r->found[r->n_found++];
		memcpy(f->uidl, m->uidl, m->uidl_len);
		f->uidl[m->uidl_len] = '\0';
		f->octets = m->octets;
		f->received_ms = m->received_ms;
		/* there it is the time until when */
		f->first_retrieved_ms = s->box.in_undo ? 0 : m->first_retrieved_ms;
	}
	pthread_mutex_unlock(s->mutex);
}

static bool
is_chosen(struct sweep *s, const struct pm_msg *m)
{
	bool hidden = (m->flags & PM_MSG_HIDDEN) != 0;

	s->box.hidden = s->box.hidden || hidden;
	if (s->box.in_undo && s->order.kind != SWEEP_UNDELETE)
		return sweep_undo_due(s, m);
	if (s->order.kind == SWEEP_EXPIRE)
		return !hidden && retention_wants_dates(&s->box.retention, &s->box.user) &&
		       retention_due(&s->box.retention, m->first_retrieved_ms, s->box.now_ms);
	if ((!hidden && !s->box.in_undo) || !sweep_wants(s, m))
		return false;
	note_found(s, m);
	return true;
}

/* What is about to be deleted or brought back, for the domain's count. PM_OK, or why it cannot
 * be. */
static int32_t
count_begin(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	if (b->in_undo)
		return PM_OK; /* nobody counts it */
	if (s->order.kind == SWEEP_UNDELETE)
		return quota_domain_take_anyway(s->conf, &b->limits, b->chosen_octets, b->chosen,
						&b->hold, e->call.error);
	quota_domain_drop(s->conf, &b->limits, b->chosen_octets, b->chosen, &b->hold);
	return PM_OK;
}

static void
note_failed(struct sweep *s, const struct errand *e)
{
	s->box.chosen = s->box.chosen_octets = 0;
	pthread_mutex_lock(s->mutex);
	s->report->failed++;
	strncpy(s->report->error, e->call.error, sizeof(s->report->error) - 1);
	pthread_mutex_unlock(s->mutex);
}

static int32_t
step_info(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	struct pm_msg info[SLICE];
	uint64_t left = b->count - b->at;
	size_t n = left < SLICE ? (size_t)left : SLICE;
	uint32_t want = PM_WANT_DATES | PM_WANT_META | PM_WANT_OCTETS |
			(s->order.kind == SWEEP_UNDELETE ? PM_WANT_UIDL : 0);
	int32_t rc = host_mbox_info(b->storage->inst, b->mbox, &e->call, b->at, n, want, info);

	if (rc == PM_AGAIN)
		return errand_should_end(e) ? to_close(s) : rc;
	if (rc != PM_OK)
		return to_close(s);
	for (size_t i = 0; i < n; i++) {
		if (!is_chosen(s, &info[i]))
			continue;
		b->map[(b->at + i) / 8] |= (uint8_t)(1u << ((b->at + i) % 8));
		b->chosen++;
		b->chosen_octets += info[i].octets;
	}
	b->at += n;
	if (b->at < b->count)
		return errand_should_end(e) ? to_close(s) : PM_AGAIN;
	s->phase = b->chosen > 0 && !s->order.dry_run &&
				   !(b->in_undo && s->order.kind == SWEEP_UNDELETE)
			   ? SWEEP_COMMIT
			   : SWEEP_CLOSE;
	e->call_ms = b->storage->limits.commit_ms;
	secret_random(b->op_id, sizeof(b->op_id));
	if (s->phase != SWEEP_COMMIT || count_begin(s, e) == PM_OK)
		return PM_AGAIN;
	note_failed(s, e);
	return to_close(s);
}

static int32_t
step_commit(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	struct pm_commit c = {.size = sizeof(c), .n = b->count, .now_ms = b->now_ms};
	uint64_t done = 0;
	int32_t rc;

	if (s->order.kind == SWEEP_UNDELETE) {
		c.restore = b->map;
	} else {
		c.del = b->map;
		if (!b->in_undo)
			c.keep_until_ms = retention_keep_until(&b->retention, b->storage->can_hide,
							       b->now_ms);
	}
	memcpy(e->call.pm.op_id, b->op_id, sizeof(b->op_id));
	rc = host_mbox_commit(b->storage->inst, b->mbox, &e->call, &c, &done);
	if (rc == PM_AGAIN)
		return rc;
	KILL_POINT("sweep: committed");
	quota_domain_end(s->conf, &b->hold, rc);
	b->hidden = b->hidden || (rc == PM_OK && c.keep_until_ms != 0);
	if (rc != PM_OK)
		note_failed(s, e);
	return to_close(s);
}

/* In the undo storage there is only what was counted before, unless it is listed, or the
 * background's. */
static bool
sweep_counts(const struct sweep *s)
{
	return !s->box.in_undo || s->order.kind == SWEEP_TIDY || s->order.unmarked ||
	       (s->order.kind == SWEEP_UNDELETE && s->order.dry_run);
}

static int32_t
step_close(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	bool whole = b->at == b->count;

	host_mbox_close(b->storage->inst, b->mbox, &e->call);
	b->mbox = NULL;
	e->holding = false;
	pthread_mutex_lock(s->mutex);
	if (whole && sweep_counts(s)) {
		s->report->messages += b->chosen;
		s->report->octets += b->chosen_octets;
	}
	pthread_mutex_unlock(s->mutex);
	return whole ? sweep_undo_next(s, e) : errand_should_end(e) ? PM_CANCELLED : PM_TEMP;
}

int32_t
sweep_box_step(struct sweep *s, struct errand *e)
{
	switch (s->phase) {
	case SWEEP_STAT:
		return step_stat(s, e);
	case SWEEP_OPEN:
		return step_open(s, e);
	case SWEEP_INFO:
		return step_info(s, e);
	case SWEEP_COMMIT:
		return step_commit(s, e);
	case SWEEP_PLACE:
		return sweep_place_step(s, e);
	case SWEEP_MOVE:
		return sweep_undo_move(s, e);
	case SWEEP_DOMAIN:
		return sweep_domain_step(s, e);
	default:
		return step_close(s, e);
	}
}
