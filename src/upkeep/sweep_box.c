/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/sweep_box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock_note.h"
#include "base/kill.h"
#include "base/secret.h"
#include "mailbox/volume.h"
#include "upkeep/sweep_undo.h"

void
sweep_box_free(struct sweep_box *b)
{
	free(b->user_mem);
	free(b->map);
	transfer_fini(&b->transfer);
	memset(b, 0, sizeof(*b));
}

/* A recount has to do with a store that does not count domains itself. */
static void
note_ours(struct sweep *s)
{
	pthread_mutex_lock(s->mutex);
	s->round->ours = true;
	pthread_mutex_unlock(s->mutex);
}

int32_t
sweep_box_begin(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	bool stat = s->order.kind == SWEEP_RECOUNT || s->order.kind == SWEEP_USAGE;

	quota_limits(b->storage, &b->user, &b->limits);
	retention_of(s->conf, &b->user, &b->retention);
	/* logins report it */
	(void)retention_fit(&b->retention, b->storage->can_mark, b->storage->can_hide);
	b->now_ms = clock_mark_ms();
	b->expire_ms = clock_expire_ms();
	if (!b->storage->counts)
		note_ours(s);
	if (s->order.kind == SWEEP_UNDELETE && !b->storage->can_hide)
		return sweep_end_box(s, PM_UNSUPPORTED);
	if (s->order.kind == SWEEP_EXPIRE && !retention_wants_dates(&b->retention, &b->user) &&
	    !b->storage->can_hide)
		return sweep_end_box(s, PM_OK); /* there is nothing to expire */
	if (s->order.kind == SWEEP_CARRY)
		return sweep_undo_begin(s);
	if (!stat)
		return sweep_box_visit(s, e);
	s->phase = SWEEP_STAT;
	return caller_ask(&e->caller, b->storage, CALL_BEGIN);
}

/* ---- totals ---------------------------------------------------------------------------------- */

/* Asks for the totals of the mailbox; *st is zeroed. */
static int32_t
ask_stat(struct sweep *s, struct errand *e, struct pm_stat *st)
{
	struct sweep_box *b = &s->box;
	struct backend *store = b->storage;
	/* a domain that is counted once more because mail came meanwhile was counted from scratch a
	 * moment ago */
	bool anew = s->order.anew && s->round->recounts_begun == 0 && !b->asked;
	int32_t rc = caller_enter(&e->caller, store, b->asked ? CALL_CONTINUE : CALL_BEGIN,
				  "box_stat", store->limits.scan_ms, &e->call);

	if (rc == PM_OK && !b->asked)
		rc = volume_find(store->vol, NULL, e->call.error, sizeof(e->call.error));
	if (rc != PM_OK)
		return rc;
	b->asked = true;
	rc = caller_done(&e->caller, (anew ? host_box_recount
					   : host_box_stat)(store->inst, &e->call, &b->user, st));
	return rc == PM_AGAIN   ? caller_ask(&e->caller, store, CALL_CONTINUE)
	       : rc == PM_NOENT ? PM_OK
				: rc;
}

int32_t
sweep_box_stat(struct sweep *s, struct errand *e)
{
	struct pm_stat st = {.size = sizeof(st)};
	struct sweep_box *b = &s->box;
	int32_t rc = ask_stat(s, e, &st);

	if (rc != PM_OK)
		return rc == PM_AGAIN ? rc : sweep_end_box(s, rc);
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
		return sweep_end_box(s, PM_OK);
	return sweep_go(s, SWEEP_BOX_DOMAIN); /* the same store */
}

/* ---- a session ------------------------------------------------------------------------------- */

/* In most mailboxes there is nothing to do: they are looked at without a lock, and locked only if
 * there is. What comes back is chosen under the lock at once. */
static bool
looks_first(const struct sweep *s)
{
	return s->order.dry_run || s->order.kind == SWEEP_EXPIRE || s->order.kind == SWEEP_TIDY;
}

/* A visit of its own begins. */
static int32_t
begin_visit(struct sweep *s, struct errand *e, bool look)
{
	struct sweep_box *b = &s->box;

	free(b->map);
	b->map = NULL;
	b->chosen = b->chosen_octets = b->unmarked = 0;
	b->look = look;
	b->whole = b->gave_way = b->hidden = b->over = false;
	b->visit = (struct visit){.store = b->storage, .background = true};
	s->phase = SWEEP_OPEN;
	/* a permit of its own, so that others have their turn between two mailboxes */
	return caller_ask(&e->caller, b->storage, CALL_BEGIN);
}

int32_t
sweep_box_visit(struct sweep *s, struct errand *e)
{
	return begin_visit(s, e, looks_first(s));
}

static uint32_t
open_flags(const struct sweep_box *b)
{
	if (!b->look)
		return PM_OPEN_EXCLUSIVE | (b->storage->can_hide ? PM_OPEN_HIDDEN : 0);
	return PM_OPEN_READONLY | (b->storage->can_hide ? PM_OPEN_HIDDEN | PM_OPEN_OVER : 0);
}

/* Its failure is the mailbox's, for the report. */
static int32_t
visit_failed(struct sweep *s, struct errand *e, int32_t rc)
{
	snprintf(e->call.error, sizeof(e->call.error), "%s", s->box.visit.text);
	return sweep_end_box(s, rc);
}

/* Between two slices: the server ends, or somebody who logs in waits for this mailbox. */
static bool
sweep_should_leave(struct sweep *s, struct errand *e)
{
	s->box.gave_way = s->box.gave_way || visit_wanted(&s->box.visit);
	return s->box.gave_way || caller_should_end(&e->caller);
}

int32_t
sweep_box_open(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	int32_t rc = visit_open(&b->visit, &e->caller, b->in_undo ? &b->undo_user : &b->user,
				open_flags(b));

	if (rc == PM_AGAIN && !sweep_should_leave(s, e))
		return rc;
	if (rc != PM_OK && b->visit.mbox) /* given up while it was being opened */
		return sweep_go(s, SWEEP_CLOSE);
	if (rc != PM_OK)
		return visit_failed(s, e, rc == PM_AGAIN ? PM_CANCELLED : rc);
	b->map = calloc(1, b->visit.count / 8 + 1);
	b->whole = b->visit.count == 0;
	return sweep_go(s, b->map && !b->whole ? SWEEP_INFO : SWEEP_CLOSE);
}

bool
sweep_box_wants(const struct sweep *s, const struct pm_msg *m)
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
		/* in the undo storage this is the time until which it is kept */
		f->first_retrieved_ms = s->box.in_undo ? 0 : m->first_retrieved_ms;
	}
	pthread_mutex_unlock(s->mutex);
}

static bool
is_chosen(struct sweep *s, const struct pm_msg *m)
{
	bool hidden = (m->flags & PM_MSG_HIDDEN) != 0;

	if (m->flags & PM_MSG_OVER) {
		s->box.over = true; /* whoever opens the mailbox with a lock removes it */
		return false;
	}
	s->box.hidden = s->box.hidden || hidden;
	if (s->box.in_undo && s->order.kind != SWEEP_UNDELETE)
		return sweep_undo_due(s, m);
	if (s->order.kind == SWEEP_EXPIRE)
		return !hidden && retention_wants_dates(&s->box.retention, &s->box.user) &&
		       retention_due(&s->box.retention, m->first_retrieved_ms, m->received_ms,
				     s->box.expire_ms);
	if ((!hidden && !s->box.in_undo) || !sweep_box_wants(s, m))
		return false;
	note_found(s, m);
	return true;
}

/* Announces deletions or restored mail to the domain's count. PM_OK, or the reason why not. */
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
note_failed(struct sweep *s, const char *text)
{
	s->box.chosen = s->box.chosen_octets = 0;
	pthread_mutex_lock(s->mutex);
	s->report->failed++;
	snprintf(s->report->error, sizeof(s->report->error), "%s", text);
	pthread_mutex_unlock(s->mutex);
}

/* All records were seen: is there something to commit? */
static int32_t
info_over(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	b->whole = true;
	if (b->look || b->chosen == 0 || (b->in_undo && s->order.kind == SWEEP_UNDELETE))
		return sweep_go(s, SWEEP_CLOSE);
	if (count_begin(s, e) == PM_OK)
		return sweep_go(s, SWEEP_COMMIT);
	note_failed(s, e->call.error);
	return sweep_go(s, SWEEP_CLOSE);
}

int32_t
sweep_box_info(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	struct pm_msg info[VISIT_SLICE];
	uint64_t first = b->visit.at;
	size_t n;
	/* to know a size a message may have to be read */
	uint32_t want = PM_WANT_DATES | PM_WANT_META |
			(b->look && !s->order.dry_run ? 0 : PM_WANT_OCTETS) |
			(s->order.kind == SWEEP_UNDELETE ? PM_WANT_UIDL : 0);
	int32_t rc = visit_next(&b->visit, &e->caller, want, info, &n);

	if (rc == PM_AGAIN && !sweep_should_leave(s, e))
		return rc;
	if (rc != PM_OK)
		return sweep_go(s, SWEEP_CLOSE);
	for (size_t i = 0; i < n; i++) {
		if (!is_chosen(s, &info[i]))
			continue;
		b->map[(first + i) / 8] |= (uint8_t)(1u << ((first + i) % 8));
		b->chosen++;
		b->chosen_octets += info[i].octets;
	}
	if (sweep_should_leave(s, e))
		return sweep_go(s, SWEEP_CLOSE);
	if (b->visit.at == b->visit.count)
		return info_over(s, e);
	return caller_ask(&e->caller, b->storage, CALL_CONTINUE); /* others have their turn */
}

int32_t
sweep_box_commit(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	struct pm_commit c = {.size = sizeof(c), .now_ms = b->now_ms};
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
	rc = visit_commit(&b->visit, &e->caller, s->conf, &c, &b->hold, &done);
	if (rc == PM_AGAIN)
		return rc;
	KILL_POINT("sweep: committed");
	b->hidden = b->hidden || (rc == PM_OK && c.keep_until_ms != 0);
	if (rc != PM_OK)
		note_failed(s, b->visit.text);
	return sweep_go(s, SWEEP_CLOSE);
}

/* Do its messages count in the report? Those of the undo storage have been counted already, unless
 * it is listed, or visited in the background. */
static bool
sweep_counts(const struct sweep *s)
{
	return !s->box.in_undo || s->order.kind == SWEEP_TIDY || s->order.unmarked ||
	       (s->order.kind == SWEEP_UNDELETE && s->order.dry_run);
}

int32_t
sweep_box_close(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;

	if (visit_close(&b->visit, &e->caller) == PM_AGAIN)
		return PM_AGAIN;
	if (b->look && b->whole && !s->order.dry_run && (b->chosen > 0 || b->over))
		return begin_visit(s, e, false);
	pthread_mutex_lock(s->mutex);
	s->report->unmarked += b->unmarked;
	if (b->whole && sweep_counts(s)) {
		s->report->messages += b->chosen;
		s->report->octets += b->chosen_octets;
	}
	pthread_mutex_unlock(s->mutex);
	if (b->whole)
		return sweep_undo_next(s);
	return visit_failed(s, e,
			    caller_should_end(&e->caller) ? PM_CANCELLED
			    : b->gave_way                 ? PM_BUSY
							  : PM_TEMP);
}
