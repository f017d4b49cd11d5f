/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIT. The commit point is a group in the ledger, written in one append and fsynced: after it the
 * deletions are done, whatever happens. The files go afterwards, in slices; then the record E. A
 * process that dies in between leaves a group without E: the next exclusive opener unlinks the
 * files that are left, and everybody else counts their messages as deleted.
 *
 * A full disk must allow deleting: if the group cannot be written even after the reserve was freed,
 * the files are unlinked without it. Then nobody finishes it later: a message whose file did not
 * go, or was not found, is listed again, and the answer is PM_PARTIAL.
 */
#include "commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compact.h"
#include "conf.h"
#include "dir.h"
#include "kill.h"
#include "ledger_file.h"
#include "maildir.h"
#include "name.h"
#include "remove.h"
#include "say.h"
#include "size.h"
#include "snap.h"

/* ---- learning -------------------------------------------------------------------------------- */

static void
commit_put_item(struct ledger_out *o, const struct snap *s, const struct item *it)
{
	char buf[IDENTITY_CAP];
	size_t n;
	const char *identity = name_identity(s, it, buf, &n);

	ledger_put_message(o, identity, n, s->names + it->uidl, it->uidl_n,
			   it->guess ? LEDGER_UNKNOWN : it->octets,
			   it->unproven ? LEDGER_UNKNOWN : it->stored, it->first_ms, it->hidden_ms);
}

static void
write_learnt(struct mbox *m)
{
	struct snap *s = m->snap;
	struct ledger_out o = {0};
	int rc;

	for (size_t k = 0; k < s->n; k++) {
		struct item *it = &s->items[k];

		if (!it->dirty)
			continue;
		commit_put_item(&o, s, it);
		it->dirty = false;
	}
	rc = o.failed ? ENOMEM : ledger_append(m->fd, LEDGER_FILE, o.text, o.n, false);
	if (rc != 0)
		dir_log(m->inst, m->fd, PM_LOG_WARNING,
			"sizes could not be kept in the ledger: %s; they are counted again",
			strerrordesc_np(rc));
	s->dirty = false;
	s->ledger_lines += o.lines;
	ledger_out_free(&o);
}

void
commit_learnt(struct mbox *m)
{
	struct snap *s = m->snap, now;
	bool learnt = s->dirty && !m->committed;

	if (learnt)
		write_learnt(m);
	if (!compact_ledger(m) && !learnt)
		return;
	snap_stat(m->fd, &now); /* our own writing is not a change to the cache */
	s->ledger_ino = now.ledger_ino;
	s->ledger_size = now.ledger_size;
}

/* ---- deletions ------------------------------------------------------------------------------- */

/* Moves a retrieved message that is kept from new to cur, and flags it as seen. Failures change
 * nothing. */
static void
mark_seen(struct mbox *m, struct item *it)
{
	char from[300], to[320], *flags;

	if (!m->inst->mark_seen)
		return;
	name_path(m->snap, it, from, sizeof(from));
	snprintf(to, sizeof(to), "cur/%s", m->snap->names + it->name);
	flags = strstr(to, ":2,");
	if (flags && strchr(flags + 3, 'S'))
		return;
	if (!flags) {
		snprintf(to + strlen(to), sizeof(to) - strlen(to), ":2,S");
	} else { /* flags are in ASCII order */
		for (flags += 3; *flags && *flags < 'S'; flags++)
			;
		if (strlen(to) + 2 > sizeof(to))
			return;
		memmove(flags + 1, flags, strlen(flags) + 1);
		*flags = 'S';
	}
	if (strlen(to) - 4 < 255)
		(void)dir_move(m->fd, from, to); /* another message may have this name */
}

/* True if this commit unlinks files. */
static bool
commit_removes(const struct pm_commit *c)
{
	return c->del && c->keep_until_ms == 0;
}

/* Puts one message's records. True: it is a member of the group. */
static bool
put_records(struct mbox *m, const struct pm_commit *c, uint64_t k, struct ledger_out *o)
{
	const struct snap *s = m->snap;
	const struct item *it = &s->items[k];
	bool del = sdk_bit(c->del, k), back = !del && sdk_bit(c->restore, k) && it->hidden_ms != 0;
	char buf[IDENTITY_CAP];
	size_t n;
	const char *identity = name_identity(s, it, buf, &n);

	/* a message must be known to the ledger before it is deleted there */
	if (it->dirty)
		commit_put_item(o, s, it);
	if (back || (del && c->keep_until_ms != 0))
		ledger_put_hide(o, m->op, identity, n, back ? 0 : c->keep_until_ms);
	else if (del)
		ledger_put_delete(o, m->op, identity, n);
	if (sdk_bit(c->retrieved, k) && it->first_ms == 0)
		ledger_put_mark(o, 'F', identity, n, c->now_ms);
	return del || back;
}

/* Puts the group's records. False: no memory. */
static bool
put_group(struct mbox *m, const struct pm_commit *c, struct ledger_out *o, uint64_t *ret_n)
{
	*ret_n = 0;
	for (uint64_t k = 0; k < m->snap->n; k++)
		*ret_n += put_records(m, c, k, o);
	if (*ret_n > 0)
		ledger_put_commit(o, m->op, *ret_n, c->now_ms);
	if (*ret_n > 0 && !commit_removes(c))
		ledger_put_done(o, m->op); /* no file will go */
	return !o->failed;
}

/* The answer if there is no group. The append was taken back, or is torn and never happened; after
 * a failed sync nobody knows. */
static int32_t
group_failed(const struct pm_call *call, int e, uint64_t members)
{
	if (members == 0) {
		sdk_error(call, "marks could not be written: %s", strerrordesc_np(e));
		return PM_TEMP;
	}
	if (e == ENOSPC || e == EDQUOT) {
		sdk_error(
			call,
			"the ledger could not be written: %s; with undo a deletion needs room for "
			"its record: free some, and give the volume a reserve_file",
			strerrordesc_np(e));
		return PM_NOSPACE;
	}
	sdk_error(call, "the ledger could not be written: %s", strerrordesc_np(e));
	return e == EIO ? PM_UNKNOWN : PM_TEMP;
}

/* The first half, up to the commit point. */
static int32_t
commit_group(struct mbox *m, const struct pm_call *call, const struct pm_commit *c)
{
	struct ledger_out o = {0};
	uint64_t n;
	int rc;

	ledger_op_hex(call->op_id, m->op);
	if (!put_group(m, c, &o, &n)) {
		ledger_out_free(&o);
		return PM_NOMEM;
	}
	rc = o.n > 0 ? ledger_append(m->fd, LEDGER_FILE, o.text, o.n, n > 0 && m->inst->fsync) : 0;
	if (rc == ENOSPC || rc == EDQUOT) {
		const struct pm_host *h = m->inst->host;

		if (h->reserve_release(h->ctx, (struct pm_str){m->inst->prefix,
							       strlen(m->inst->prefix)}) == PM_OK)
			rc = ledger_append(m->fd, LEDGER_FILE, o.text, o.n,
					   n > 0 && m->inst->fsync);
	}
	m->snap->ledger_lines += rc == 0 ? o.lines : 0;
	ledger_out_free(&o);
	KILL_POINT("commit: after the group");
	if (rc == 0)
		return PM_OK;
	if ((rc == ENOSPC || rc == EDQUOT) && commit_removes(c)) {
		dir_log(m->inst, m->fd, PM_LOG_WARNING,
			"the disk is full: deleting without a record in the ledger");
		m->commit_partial = true;
		return PM_OK;
	}
	return group_failed(call, rc, n);
}

/* Hidden mail is still on the disk, so maildirsize counts it until it goes. */
static void
count_size(struct mbox *m, const struct pm_commit *c)
{
	int64_t octets = 0, n = 0;

	for (uint64_t k = 0; k < m->snap->n && commit_removes(c); k++) {
		if (!sdk_bit(c->del, k))
			continue;
		octets += (int64_t)m->snap->items[k].stored;
		n++;
	}
	if (n > 0)
		size_add(m->fd, -octets, -n);
}

static void
commit_unlink(struct mbox *m, struct item *it)
{
	int e = remove_item(m, it);

	KILL_POINT("commit: a file is gone");
	if (e == ENOENT)
		m->commit_unseen = true;
	else if (e)
		m->commit_failed = e;
	/* a file that was renamed faster than we looked goes later only if there is a record */
	m->commit_done += e == 0 || (e == ENOENT && !m->commit_partial);
}

/* True if every file went that no later opener removes. */
static bool
all_went(const struct mbox *m)
{
	if (m->commit_failed)
		dir_log(m->inst, m->fd, PM_LOG_WARNING,
			"a deleted message could not be removed: %s; it %s",
			strerrordesc_np(m->commit_failed),
			m->commit_partial ? "is listed again" : "stays deleted");
	else if (m->commit_partial && m->commit_unseen)
		dir_log(m->inst, m->fd, PM_LOG_WARNING,
			"the file of a deleted message was not found; if another program renamed "
			"it, it is listed again");
	return !m->commit_failed && !(m->commit_partial && m->commit_unseen);
}

/* The second half, in slices: PM_OK, PM_AGAIN, PM_PARTIAL. */
static int32_t
commit_files(struct mbox *m, const struct pm_commit *c)
{
	int64_t until = maildir_now(m->inst) + SLICE_MS;
	struct ledger_out o = {0};

	for (; m->commit_at < m->snap->n; m->commit_at++) {
		struct item *it = &m->snap->items[m->commit_at];

		if (sdk_bit(c->del, m->commit_at) && c->keep_until_ms != 0) {
			m->commit_done++;
		} else if (sdk_bit(c->del, m->commit_at)) {
			commit_unlink(m, it);
		} else if (sdk_bit(c->retrieved, m->commit_at)) {
			mark_seen(m, it);
		}
		if ((m->commit_at & 63) == 63 && maildir_now(m->inst) >= until) {
			m->commit_at++;
			return PM_AGAIN;
		}
	}
	/* a failure changes nothing: the group names what is deleted, and a crash before this is
	 * recovered */
	(void)dir_sync(m->inst, m->fd);
	KILL_POINT("commit: before done");
	if (!all_went(m))
		return PM_PARTIAL;
	count_size(m, c);
	if (!m->commit_partial && !m->commit_unseen && commit_removes(c)) {
		ledger_put_done(&o, m->op);
		m->snap->ledger_lines += o.lines;
		if (!o.failed)
			/* without this record the next opener looks again, and finds nothing */
			(void)ledger_append(m->fd, LEDGER_FILE, o.text, o.n, false);
		ledger_out_free(&o);
	}
	return PM_OK;
}

int32_t
commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
	   uint64_t *ret_done)
{
	struct mbox *m = mbox;
	int32_t rc;

	if (commit->n != m->snap->n || !(m->flags & PM_OPEN_EXCLUSIVE))
		return PM_INVALID;
	if (m->fd == -1 || m->snap->n == 0)
		return PM_OK; /* there is nothing to delete */
	if (!m->committed) {
		rc = commit_group(m, call, commit);
		if (rc != PM_OK)
			return rc;
		m->committed = true; /* a call with the same op_id goes on from here */
	}
	rc = commit_files(m, commit);
	if (rc == PM_PARTIAL || rc == PM_OK)
		*ret_done = m->commit_done;
	return rc;
}
