/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit - QUIT, in one transaction. Its first statement raises the fence of our lease: if nobody
 * took the maildrop over, that row is as we left it, and on a cluster any other writer of it makes
 * one of the two fail. No test of time is needed. Messages that go leave a row in mail_garbage;
 * their bodies are removed later.
 *
 * When the answer to COMMIT does not come, the fence decides: if it was raised and our operation is
 * beside it, the commit was done; if we can raise it ourselves, it was not done, and never will be.
 */
#include "commit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "conf.h"
#include "db.h"
#include "ids.h"
#include "process.h"
#include "say.h"
#include "store.h"

#define LAST_MS 253402300799000 /* the last moment that DATETIME can hold */

/* Runs `what` on these rows. */
static int32_t
on_rows(struct db *d, const char *what, const char *and, uint64_t mailbox, const uint64_t *pos,
	size_t n)
{
	char where[80];

	snprintf(where, sizeof(where), " WHERE mailbox = %llu AND pos",
		 (unsigned long long)mailbox);
	return db_list(d, what, where, pos, n, and);
}

int32_t
commit_bury(struct db *d, const char *and, uint64_t mailbox, const uint64_t *pos, size_t n,
	    uint64_t *ret_n)
{
	char tail[240];
	int32_t rc;

	/* a backup of some tables may have brought rows of mail_garbage back */
	snprintf(tail, sizeof(tail),
		 "%s ON DUPLICATE KEY UPDATE mail_garbage.pos = mail_garbage.pos", and);
	rc = on_rows(d,
		     "INSERT INTO mail_garbage (body, mailbox, pos) SELECT body, mailbox, pos FROM "
		     "mail_message",
		     tail, mailbox, pos, n);

	if (rc == PM_OK)
		rc = on_rows(d, "DELETE FROM mail_message", and, mailbox, pos, n);
	*ret_n = rc == PM_OK ? d->affected : 0;
	return rc;
}

/* ---- the maps -------------------------------------------------------------------------------- */

struct job {
	struct mbox *m;
	struct pm_commit c;
	const uint8_t *op;
	uint64_t n_del, octets; /* messages and octets deleted or hidden, by the snapshot */
	uint64_t touched;       /* rows that existed */
	bool sent;              /* COMMIT was sent: its outcome may be unknown */
};

/* Calls fn with batches of the messages of one map that are not in the other. */
typedef int32_t on_batch(struct db *d, struct job *j, const uint64_t *pos, size_t n);

static int32_t
each_batch(struct db *d, struct job *j, const uint8_t *map, const uint8_t * not, on_batch *fn)
{
	uint64_t pos[BATCH];
	size_t n = 0;
	int32_t rc = PM_OK;

	for (uint64_t k = 0; map && rc == PM_OK && k < j->m->n; k++) {
		if (!sdk_bit(map, k) || sdk_bit(not, k))
			continue;
		pos[n++] = j->m->msgs[k].pos;
		if (n == BATCH) {
			rc = fn(d, j, pos, n);
			n = 0;
		}
	}
	return rc == PM_OK && n > 0 ? fn(d, j, pos, n) : rc;
}

static void
time_text(char *to, size_t cap, const char *before, int64_t ms)
{
	snprintf(to, cap, "%s'1970-01-01' + INTERVAL %lld * 1000 MICROSECOND", before,
		 (long long)(ms < 0         ? 0
			     : ms < LAST_MS ? ms
					    : LAST_MS));
}

static int32_t
commit_mark(struct db *d, struct job *j, const uint64_t *pos, size_t n)
{
	char what[160];

	time_text(what, sizeof(what), "UPDATE mail_message SET first_retrieved = ", j->c.now_ms);
	return on_rows(d, what, " AND first_retrieved IS NULL", j->m->box.id, pos, n);
}

static int32_t
commit_restore(struct db *d, struct job *j, const uint64_t *pos, size_t n)
{
	return on_rows(d, "UPDATE mail_message SET hidden_until = NULL, first_retrieved = NULL", "",
		       j->m->box.id, pos, n);
}

static int32_t
commit_hide(struct db *d, struct job *j, const uint64_t *pos, size_t n)
{
	char what[160];
	int32_t rc;

	time_text(what, sizeof(what),
		  "UPDATE mail_message SET hidden_until = ", j->c.keep_until_ms);
	rc = on_rows(d, what, "", j->m->box.id, pos, n);
	j->touched += rc == PM_OK ? d->affected : 0;
	return rc;
}

static int32_t
bury(struct db *d, struct job *j, const uint64_t *pos, size_t n)
{
	uint64_t gone = 0;
	int32_t rc = commit_bury(d, "", j->m->box.id, pos, n, &gone);

	j->touched += gone;
	return rc;
}

/* ---- the transaction ------------------------------------------------------------------------- */

/* Changes the counters, by the snapshot where that is possible; otherwise (hidden messages in it,
 * or rows that were missing) they are counted again. */
static int32_t
commit_counters(struct db *d, struct job *j)
{
	bool recount = (j->m->flags & PM_OPEN_HIDDEN) || j->touched != j->n_del || j->c.restore;
	int32_t rc;

	if (j->n_del == 0 && !j->c.restore)
		return PM_OK;
	if (recount)
		return box_recount(d, &j->m->box);
	rc = box_subtract(d, &j->m->box, j->n_del, j->octets);
	if (rc == PM_OK && j->c.keep_until_ms > 0)
		rc = box_hidden(d, &j->m->box, (int64_t)j->n_del, (int64_t)j->octets);
	return rc;
}

static int32_t
commit_transaction(struct db *d, struct job *j)
{
	struct mbox *m = j->m;
	struct db_arg lease[] = {DB_S(j->op, ID), DB_U(m->lease.mailbox), DB_S(m->lease.owner, ID),
				 DB_U(m->lease.fence)};
	int32_t rc = db_begin(d);

	j->touched = 0;
	if (rc == PM_OK)
		rc = db_exec(d, ST_LEASE_COMMIT, lease, 4);
	if (rc == PM_OK && d->affected != 1)
		return db_rollback(d, PM_BUSY);
	if (rc == PM_OK)
		rc = each_batch(d, j, j->c.retrieved, j->c.keep_until_ms > 0 ? NULL : j->c.del,
				commit_mark);
	if (rc == PM_OK)
		rc = each_batch(d, j, j->c.restore, NULL, commit_restore);
	if (rc == PM_OK)
		rc = each_batch(d, j, j->c.del, NULL, j->c.keep_until_ms > 0 ? commit_hide : bury);
	if (rc == PM_OK)
		rc = commit_counters(d, j);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	j->sent = true;
	rc = db_commit(d);
	if (rc == PM_OK)
		m->lease.fence++;
	j->sent = rc != PM_OK && d->fail.lost;
	return rc;
}

/* Finds out the outcome of an earlier COMMIT that was not answered. PM_OK: it was done; PM_AGAIN:
 * it was not and never will be; PM_BUSY: it was not, and another session has the maildrop;
 * PM_UNKNOWN: another session has it and has committed since. */
static int32_t
what_became(struct db *d, struct job *j)
{
	struct mbox *m = j->m;
	struct db_arg fence[] = {DB_U(m->lease.mailbox), DB_S(m->lease.owner, ID),
				 DB_U(m->lease.fence)};
	struct db_arg look[] = {DB_S(m->lease.owner, ID), DB_S(j->op, ID), DB_U(m->lease.mailbox)};
	struct db_col cols[3] = {{.p = NULL}};
	int32_t rc = PM_OK;

	for (int k = 0; k < 2 && rc == PM_OK;
	     k++) { /* a node that may lag behind must not decide that it is not there */
		if (k > 0)
			rc = process_write(d, m->inst);
		if (rc == PM_OK)
			rc = db_exec(d, ST_LEASE_FENCE, fence, 3);
		if (rc == PM_OK && d->affected == 1) {
			m->lease.fence++;
			j->sent = false;
			return PM_AGAIN;
		}
	}
	if (rc == PM_OK)
		rc = db_row(d, ST_LEASE_LOOK, look, 3, cols, 3);
	if (rc == PM_END)
		return PM_UNKNOWN; /* the whole mailbox was removed */
	if (rc != PM_OK)
		return rc;
	if (cols[2].u) {
		m->lease.fence = (uint64_t)cols[0].u;
		return PM_OK;
	}
	if (cols[1].u) { /* ours: the answer to an earlier ST_LEASE_FENCE was lost as well */
		m->lease.fence = (uint64_t)cols[0].u;
		j->sent = false;
		return PM_AGAIN;
	}
	return (uint64_t)cols[0].u == m->lease.fence + 1 ? PM_BUSY : PM_UNKNOWN;
}

static int32_t
commit_work(struct db *d, void *arg)
{
	struct job *j = arg;
	int32_t rc;

	if (j->sent) {
		rc = what_became(d, j);
		if (rc != PM_AGAIN) {
			j->sent = rc < 0 && rc != PM_BUSY;
			return rc;
		}
	}
	rc = commit_transaction(d, j);
	if (rc != PM_BUSY)
		return rc;
	rc = process_write(
		/* it was taken over, or this node does not know yet that it is ours */
		d, j->m->inst);
	return rc == PM_OK ? commit_transaction(d, j) : rc;
}

/* ---- the call -------------------------------------------------------------------------------- */

/* Copies as much of the record as there is (R1). */
static struct pm_commit
read_commit(const struct pm_commit *commit)
{
	struct pm_commit c = {.size = 0};

	memcpy(&c, commit, commit->size < sizeof(c) ? commit->size : sizeof(c));
	return c;
}

static bool
nothing_to_do(const struct job *j)
{
	for (uint64_t k = 0; k < j->m->n; k++)
		if (sdk_bit(j->c.del, k) || sdk_bit(j->c.retrieved, k) || sdk_bit(j->c.restore, k))
			return false;
	return true;
}

int32_t
commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
	   uint64_t *ret_done)
{
	struct mbox *m = mbox;
	struct job j = {.m = m, .c = read_commit(commit), .op = m->op, .sent = m->unsure};
	int32_t rc;

	if (!(m->flags & PM_OPEN_EXCLUSIVE) || j.c.n != m->n)
		return PM_INVALID;
	if (m->committed) {
		*ret_done = m->done;
		return PM_OK;
	}
	for (uint64_t k = 0; k < m->n; k++)
		if (sdk_bit(j.c.del, k)) {
			j.n_del++;
			j.octets += m->msgs[k].octets;
		}
	if (!m->unsure && nothing_to_do(&j)) {
		*ret_done = 0;
		return PM_OK;
	}
	if (!m->unsure)
		ids_random(m->op, ID); /* identifies this commit of this handle */
	rc = db_do(&m->inst->pool, call, (int64_t)m->n, commit_work,
		   &j); /* a millisecond a message */
	m->unsure = rc != PM_OK && j.sent;
	if (m->unsure)
		return PM_UNKNOWN;
	if (rc == PM_BUSY)
		sdk_count(m->inst->host, "leases_lost", 1);
	if (rc == PM_OK) {
		m->committed = true;
		*ret_done = m->done = j.n_del;
	}
	return rc;
}
