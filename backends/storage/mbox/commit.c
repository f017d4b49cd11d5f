/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIT takes the MTA's locks, makes sure that the snapshot is that of the file, makes the journal,
 * proves that the messages to be cut out are those the session saw (the journal's commit point
 * comes after that), and writes marks. The session's lock stays until the mailbox is closed. Hidden
 * messages whose time is over go with the next commit.
 */
#include "commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "doomed.h"
#include "expire.h"
#include "index.h"
#include "journal.h"
#include "journal_plan.h"
#include "ledger_file.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "say.h"
#include "snap.h"
#include "view.h"

/* ---- marks ----------------------------------------------------------------------------------- */

/* Puts a message's mark of one kind. The mark of a message that the ledger does not know yet is
 * written with its record. */
static void
put_mark(struct ledger_out *o, const struct item *it, char kind, int64_t ms)
{
	char id[IDENTITY_CAP];

	if (!it->dirty)
		ledger_put_mark(o, kind, id, names_identity(it->hash, it->twin, id), ms);
}

/* Writes marks. A failure changes nothing: the mail has been handed over. */
static void
put_retrieved(struct mbox *m, const struct pm_commit *c)
{
	struct ledger_out o = {0};
	int e = 0;

	for (size_t k = 0; k < m->n; k++) {
		struct item *it = view_item(m, k);

		if (!sdk_bit(c->retrieved, k) || it->gone || it->doomed || it->first_ms != 0)
			continue;
		it->first_ms = c->now_ms;
		put_mark(&o, it, 'F', c->now_ms);
	}
	if (o.failed || (o.n > 0 && (e = ledger_append(m->inst->ledger_dir, m->place.key, o.text,
						       o.n, false)) != 0))
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': marks could not be written: %s",
			m->place.path, strerrordesc_np(o.failed ? ENOMEM : e));
	ledger_out_free(&o);
}

/* Frees the reserve of the full disk that `path` is on. True: there is room again. */
static bool
got_room(const struct inst *i, const char *path)
{
	return i->host->reserve_release(i->host->ctx, (struct pm_str){path, strlen(path)}) == PM_OK;
}

/* Puts the records of one message that is hidden or restored. True: it is a member of the group. */
static bool
put_member(struct mbox *m, const struct pm_commit *c, size_t k, const char *op,
	   struct ledger_out *o)
{
	struct item *it = view_item(m, k);
	bool hide = c->keep_until_ms != 0 && sdk_bit(c->del, k),
	     show = sdk_bit(c->restore, k) && it->hidden_ms != 0;
	char id[IDENTITY_CAP];
	size_t n;

	if (it->gone || (!hide && !show))
		return false;
	n = names_identity(it->hash, it->twin, id);
	it->hidden_ms = hide ? c->keep_until_ms : 0;
	if (show)
		it->first_ms = 0;
	if (it->dirty)
		ledger_put_message(o, id, n, it->uidl, it->uidl_n, it->octets, it->stored,
				   it->first_ms, 0);
	it->dirty = false;
	ledger_put_hide(o, op, id, n, it->hidden_ms);
	return true;
}

/* The deletions of the same QUIT are a group of their own, in the journal's list. */
static void
hide_op(const struct mbox *m, char op[33])
{
	memcpy(op, m->op, 33);
	op[0] = op[0] == 'f' ? '0' : 'f';
}

/* Hides instead of deleting, and unhides: all of it, or nothing. The commit point is the end of the
 * group, of which no part counts alone. */
static int32_t
put_hidden(struct mbox *m, const struct pm_call *call, const struct pm_commit *c)
{
	struct ledger_out o = {0};
	uint64_t n = 0;
	char op[33];
	int e = 0;

	hide_op(m, op);
	for (size_t k = 0; k < m->n; k++)
		n += put_member(m, c, k, op, &o);
	if (n > 0) {
		ledger_put_commit(&o, op, n, c->now_ms);
		ledger_put_done(&o, op);
	}
	if (o.failed)
		e = ENOMEM;
	else if (n > 0)
		e = ledger_append(m->inst->ledger_dir, m->place.key, o.text, o.n, m->inst->fsync);
	if ((e == ENOSPC || e == EDQUOT) && got_room(m->inst, m->inst->state_path))
		e = ledger_append(m->inst->ledger_dir, m->place.key, o.text, o.n, m->inst->fsync);
	ledger_out_free(&o);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "'%s': its ledger cannot be written: %s", m->place.path,
		  strerrordesc_np(e));
	return e == EIO ? PM_UNKNOWN : location_code(e);
}

/* ---- deletions ------------------------------------------------------------------------------- */

/* Until when hidden messages go with this commit; 0: none does. */
static int64_t
commit_over(const struct mbox *m, const struct pm_commit *c)
{
	return sdk_expire_ms(m->inst->host) > 0 ? c->now_ms : 0;
}

/* Marks the messages to be deleted; returns how many. */
static size_t
commit_doom(struct mbox *m, const struct pm_commit *c)
{
	int64_t over = commit_over(m, c);
	size_t n = 0;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item *it = &m->snap.items[k];

		it->doomed = it->hidden_ms != 0 && it->hidden_ms <= over;
	}
	for (size_t k = 0; k < m->n; k++) {
		struct item *it = view_item(m, k);

		if (c->keep_until_ms == 0 && sdk_bit(c->del, k) && !it->gone)
			it->doomed = true;
		if (sdk_bit(c->restore, k))
			it->doomed = false;
	}
	for (size_t k = 0; k < m->snap.n; k++)
		n += m->snap.items[k].doomed;
	return n;
}

/* Moves the items that are left to their new places, so that the next session need not read them
 * again. */
static void
commit_shift(struct mbox *m)
{
	uint64_t cut = 0;
	size_t out = 0;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item it = m->snap.items[k];

		if (it.doomed) {
			cut += it.next - it.from;
			continue;
		}
		it.from -= cut;
		it.body -= cut;
		it.text -= cut;
		it.end -= cut;
		it.next -= cut;
		m->snap.items[out++] = it;
	}
	m->snap.n = out;
	m->n = 0; /* the session is over */
	if (fstat(m->fd, &m->snap.st) != 0)
		m->snap.st = (struct stat){0};
}

static bool
wants_deletion(const struct mbox *m, const struct pm_commit *c)
{
	int64_t over = commit_over(m, c);

	for (size_t k = 0; k < m->snap.n; k++)
		if (m->snap.items[k].hidden_ms != 0 && m->snap.items[k].hidden_ms <= over)
			return true;
	for (size_t k = 0; k < m->n && c->keep_until_ms == 0; k++)
		if (sdk_bit(c->del, k))
			return true;
	return false;
}

/* Makes the journal ready to run. PM_OK without a journal: nothing is left to delete. */
static int32_t
begin_journal(struct mbox *m, const struct pm_call *call, const struct pm_commit *c)
{
	int32_t rc = view_refresh(m, call);

	if (rc != PM_OK || m->fd == -1 || commit_doom(m, c) == 0)
		return rc;
	if (m->held.readonly) {
		sdk_error(call, "'%s' is on a disk that is read-only now", m->place.path);
		return PM_TEMP;
	}
	doomed_abandon(m);
	m->proven = false;
	m->journal = journal_new(m, m->op);
	if (m->journal || errno == ENOMEM)
		return m->journal ? PM_OK : PM_NOMEM;
	sdk_error(call, "reading '%s': %s; nothing was deleted", m->place.path,
		  strerrordesc_np(errno));
	return PM_TEMP;
}

/* Deletes. PM_OK, PM_AGAIN, or the code of the failure. */
static int32_t
commit_delete(struct mbox *m, const struct pm_call *call, const struct pm_commit *c)
{
	bool point = false;
	int32_t rc = m->journal ? PM_OK : begin_journal(m, call, c);

	if (rc == PM_NOSPACE && got_room(m->inst, m->inst->prefix))
		return PM_AGAIN; /* for a dotlock */
	if (rc != PM_OK || !m->journal)
		return rc;
	rc = journal_run(m->journal, call, STEP_NAME, &point);
	if (rc == PM_OK && !m->proven) {
		rc = doomed_prove(m, call);
		m->proven = rc == PM_OK;
	}
	if (rc == PM_OK)
		rc = journal_run(m->journal, call, STEP_DONE, &point);
	m->committed = m->committed || point;
	if (rc == PM_NOSPACE && got_room(m->inst, m->inst->state_path)) {
		journal_free(m->journal);
		m->journal = NULL;
		return PM_AGAIN; /* again from the beginning, now with the space of the reserve */
	}
	return rc;
}

/* After the deletions: writes marks, and an index of the messages that are left. */
static void
commit_finish(struct mbox *m, const struct pm_commit *c)
{
	size_t doomed = 0;

	for (size_t k = 0; k < m->snap.n; k++) {
		doomed += m->snap.items[k].doomed;
		m->snap.items[k].dirty = m->snap.items[k].dirty &&
					 /* the journal wrote these to the ledger */
					 !m->snap.items[k].doomed;
	}
	put_retrieved(m, c);
	names_learnt(m);
	if (doomed == 0 || !m->held.all)
		return;
	commit_shift(m);
	m->snap.ledger = names_ledger(m->inst, &m->place);
	index_save(m->inst, &m->place, m->fd, &m->snap);
}

int32_t
commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
	   uint64_t *ret_done)
{
	struct mbox *m = mbox;
	char op[33];
	int32_t rc = PM_OK;

	if (!(m->flags & PM_OPEN_EXCLUSIVE))
		return PM_INVALID;
	ledger_op_hex(call->op_id, op);
	if (m->verified && strcmp(op, m->op) == 0)
		return PM_OK; /* a repeated call */
	if (commit->n != m->n)
		return PM_INVALID;
	memcpy(m->op, op, sizeof(op));
	if (m->fd == -1 || m->n + m->snap.n == 0) {
		m->verified = true;
		return PM_OK;
	}
	if (m->journal || m->refreshing || wants_deletion(m, commit))
		rc = commit_delete(m, call, commit);
	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK && (commit->keep_until_ms != 0 || commit->restore))
		rc = put_hidden(m, call, commit);
	if (rc == PM_OK)
		commit_finish(m, commit);
	lock_release(&m->held, m->fd);
	journal_free(m->journal);
	m->journal = NULL;
	m->verified = rc == PM_OK;
	if (rc == PM_PARTIAL)
		*ret_done = 0;
	return rc;
}
