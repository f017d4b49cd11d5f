/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIT (RFC 1939 s6). With deletions or marks it commits, gives the mailbox back and then answers:
 * a client that returns at once finds the lock free, and +OK means that the deletions are durable.
 * Without them it only gives the mailbox back.
 */
#include "pop3/update.h"

#include <string.h>

#include "base/clock_note.h"
#include "base/log.h"
#include "base/stats.h"
#include "pop3/expire.h"
#include "pop3/open.h"
#include "upkeep/undo.h"

bool
update_commits(const struct pop3 *s)
{
	return maildrop_pending(&s->drop) > 0 || (s->drop.n_retrieved > 0 && s->storage->can_mark);
}

enum turn
update_quit(struct pop3 *s, const struct command *c)
{
	(void)c;
	s->quit_rc = PM_OK;
	if (s->state != STATE_TRANS) {
		(void)talk_close(&s->base.talk, "quit");
		return pop3_ok(s, "bye");
	}
	s->quit = true;
	s->state = STATE_UPDATE;
	s->work = expire_begin(s) ? WORK_EXPIRE : update_commits(s) ? WORK_COMMIT : WORK_CLOSE;
	return TURN_ON;
}

/* Marks are only a convenience: if they alone fail, it is logged, and the client is not told. */
static void
commit_over(struct pop3 *s, int32_t rc, uint64_t done, const char *text)
{
	uint64_t pending = maildrop_pending(&s->drop);

	s->work = WORK_CLOSE;
	if (rc != PM_OK)
		pop3_log_call(s, s->storage, "mbox_commit", rc, text);
	if (pending == 0)
		return;
	s->quit_rc = rc;
	s->deleted = rc == PM_OK ? pending : rc == PM_PARTIAL ? done : 0;
	stat_add(rc == PM_OK        ? STAT_COMMIT_OK
		 : rc == PM_PARTIAL ? STAT_COMMIT_PARTIAL
		 : rc == PM_UNKNOWN ? STAT_COMMIT_UNKNOWN
				    : STAT_COMMIT_FAILED,
		 1);
	stat_add(STAT_DELETED, s->deleted);
}

/* Once, under the permit, so that a repeated commit has the same arguments. PM_OK; PM_AGAIN;
 * otherwise there was no permit. */
static int32_t
commit_begin(struct pop3 *s)
{
	struct backend *b = s->storage;
	struct host_call call;
	int32_t rc;

	if (s->visit.committing)
		return PM_OK;
	rc = caller_enter(&s->caller, b, CALL_GIVE_BACK, "mbox_commit", b->limits.commit_ms, &call);
	if (rc != PM_OK)
		return rc;
	s->commit_ms = clock_mark_ms();
	expire_count_begin(s);
	return PM_OK;
}

enum turn
update_commit(struct pop3 *s)
{
	struct pm_commit commit = {.size = sizeof(commit)};
	uint64_t done = 0;
	int32_t rc = commit_begin(s);

	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK) {
		/* nothing was begun, so nothing is deleted; after a PM_AGAIN there is no time
		 * limit */
		commit_over(s, rc, 0, "no permit in time");
		return TURN_ON;
	}
	commit.del = maildrop_pending(&s->drop) > 0 ? s->drop.deleted : NULL;
	commit.retrieved =
		s->drop.n_retrieved > 0 && s->storage->can_mark ? s->drop.retrieved : NULL;
	commit.now_ms = s->commit_ms;
	if (commit.del)
		commit.keep_until_ms =
			retention_keep_until(&s->retention, s->storage->can_hide, s->commit_ms);
	rc = visit_commit(&s->visit, &s->caller, s->base.conf, &commit, &s->hold, &done);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	commit_over(s, rc, done, s->visit.text);
	return update_close(s); /* the same permit */
}

/* The answer to QUIT, after the lock was given back. */
static enum turn
update_answer(struct pop3 *s)
{
	s->work = WORK_NONE;
	if (stream_ended(&s->base.io) && s->base.io.left)
		return TURN_END;
	(void)talk_close(&s->base.talk, "quit");
	switch (s->quit_rc) {
	case PM_OK:
		return pop3_ok(s, "bye");
	case PM_PARTIAL:
	case PM_UNKNOWN:
		return pop3_result(s, s->quit_rc, "deletion");
	case PM_BUSY:
		return pop3_err(s, CODE_IN_USE, "the mailbox was taken over, not changed");
	default:
		return pop3_err(s, reply_code_of(s->quit_rc), "mailbox not changed");
	}
}

enum turn
update_close(struct pop3 *s)
{
	if (visit_close(&s->visit, &s->caller) == PM_AGAIN)
		return TURN_PERMIT;
	registry_release(s->claim);
	s->claim = NULL;
	if (s->deleted > 0 && s->retention.undo_days > 0)
		undo_hidden(s->base.conf, s->user.name);
	open_table_free(s);
	return s->quit ? update_answer(s) : TURN_END;
}
