/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIT: the MTA's locks, a look whether the file is still the snapshot's, the journal, marks. The session's lock stays
 * until the mailbox is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"

static bool
bit(const uint8_t *map, uint64_t k)
{
	return map && (map[k / 8] >> (k % 8) & 1);
}

/* How many of the map are still there. */
static uint64_t
count(const struct mbox *m, const uint8_t *del)
{
	uint64_t n = 0;

	for (size_t k = 0; k < m->snap.n; k++)
		n += bit(del, k) && !m->snap.items[k].gone;
	return n;
}

/* A convenience: the mail is handed over, whatever becomes of its mark. */
static void
put_marks(struct mbox *m, const struct pm_commit *c)
{
	struct ledger_out o = {0};
	int e = 0;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item *it = &m->snap.items[k];
		char id[64];

		if (!bit(c->retrieved, k) || it->gone || it->first_ms != 0)
			continue;
		it->first_ms = c->now_ms;
		if (!it->dirty)
			ledger_put_mark(&o, 'F', id, item_identity(it, id), c->now_ms);
	}
	if (o.failed || (o.n > 0 && (e = ledger_append(m->inst->ledger_dir, m->place.key, o.text, o.n, false)) != 0))
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': marks could not be written: %s", m->place.path,
			strerrordesc_np(o.failed ? ENOMEM : e));
	ledger_out_free(&o);
}

/* What is left, where it is now: the next session need not read it again. */
static void
shift(struct mbox *m, const uint8_t *del)
{
	uint64_t cut = 0;
	size_t out = 0;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item it = m->snap.items[k];
		uint64_t whole = it.next - it.from;

		if (bit(del, k) && !it.gone) {
			cut += whole;
			continue;
		}
		it.from -= cut;
		it.body -= cut;
		it.end -= cut;
		it.next -= cut;
		m->snap.items[out++] = it;
	}
	m->snap.n = out;
	m->snap.st.st_size = out > 0 ? (off_t)m->snap.items[out - 1].next : 0;
	m->snap.st.st_mtim.tv_sec = 0; /* it "grew" since: the last message is looked at again */
	index_save(m->inst, &m->place, &m->snap);
}

/* The deletions: PM_OK, PM_AGAIN, or what became of them. */
static int32_t
delete(struct mbox *m, const struct pm_call *call, const uint8_t *del)
{
	const struct pm_host *h = m->inst->host;
	bool point = false;
	int32_t rc;

	if (!m->journal) {
		rc = box_lock(m, call);
		if (rc == PM_OK)
			rc = box_refresh(m, call);
		if (rc != PM_OK)
			return rc;
		if (count(m, del) == 0)
			return PM_OK; /* somebody else did it */
		m->journal = journal_new(m, del, m->op);
		if (!m->journal)
			return PM_NOMEM;
	}
	rc = journal_run(m->journal, call, &point);
	m->committed = m->committed || point;
	if (rc == PM_NOSPACE && h->reserve_release(h->ctx, (struct pm_str){m->inst->prefix, strlen(m->inst->prefix)}) == PM_OK) {
		journal_free(m->journal);
		m->journal = NULL;
		unlock_mta(&m->held, m->fd);
		return PM_AGAIN; /* from the beginning, with the reserve's space */
	}
	if (rc == PM_OK)
		shift(m, del);
	return rc;
}

int32_t
mbox_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit, uint64_t *ret_done)
{
	struct mbox *m = mbox;
	char op[33];
	int32_t rc = PM_OK;

	if (commit->keep_until_ms != 0 || commit->restore)
		return PM_UNSUPPORTED; /* CAN_HIDE is not claimed */
	if (!(m->flags & PM_OPEN_EXCLUSIVE) || (!m->committed && commit->n != m->snap.n))
		return PM_INVALID;
	ledger_op_hex(call->op_id, op);
	if (m->verified && strcmp(op, m->op) == 0)
		return PM_OK; /* the same once more */
	memcpy(m->op, op, sizeof(op));
	if (m->fd == -1 || m->snap.n == 0) {
		m->verified = true;
		return PM_OK;
	}
	if (!m->journal)
		put_marks(m, commit);
	if (commit->del && count(m, commit->del) > 0)
		rc = delete(m, call, commit->del);
	if (rc == PM_AGAIN)
		return rc;
	unlock_mta(&m->held, m->fd);
	if (m->journal) {
		journal_free(m->journal);
		m->journal = NULL;
	}
	snap_learnt(m);
	m->verified = rc == PM_OK;
	if (rc == PM_PARTIAL)
		*ret_done = 0;
	return rc;
}
