/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the message to the stores. Each storage section involved has one handle for all of its
 * recipients; every call is made under a permit of its gate, and between calls no permit is held.
 * All handles are prepared (durable, and invisible) before the first is committed, so a failure
 * until then leaves nothing behind.
 *
 * By LMTP each recipient has its own outcome, and the client keeps the mail of those that failed.
 * SMTP has one reply for all recipients, so nothing is committed unless all are prepared.
 *
 * With one storage section and a message that fits the chunk, everything happens in one turn under
 * one permit.
 */
#include "smtp/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/answer.h"
#include "mailbox/volume.h"
#include "smtp/answer.h"
#include "smtp/room.h"
#include "smtp/to_badmail.h"
#include "smtp/trace.h"

#define SLICE_MS 50 /* then the permit goes back, and others have their turn */

/* ---- recipients and their outcomes ----------------------------------------------------------- */

/* Sets the outcome of those targets of a dest that have none yet. */
static void
set_outcome(struct envelope *e, const struct dest *d, int32_t rc)
{
	for (size_t i = 0; i < e->n_targets; i++)
		if (&e->dests[e->targets[i].dest] == d && e->targets[i].rc == PM_OK)
			e->targets[i].rc = rc;
}

/* Takes over the results that the store gave for each target. Returns how many succeeded. */
static size_t
take_results(struct envelope *e, const struct dest *d)
{
	size_t good = 0;

	for (size_t i = 0; i < e->n_targets; i++) {
		struct target *t = &e->targets[i];

		if (&e->dests[t->dest] != d || t->result == SIZE_MAX)
			continue;
		t->rc = d->results[t->result].rc;
		good += t->rc == PM_OK || t->rc == PM_EXISTS;
	}
	return good;
}

/* After the commit. */
static void
settle_copies(struct dsession *s, const struct dest *d)
{
	struct envelope *e = &s->mail;

	for (size_t i = 0; i < e->n_targets; i++) {
		struct target *t = &e->targets[i];

		if (&e->dests[t->dest] == d && t->result != SIZE_MAX)
			post_settle(&d->post, s->base.conf, t->room ? &t->room->hold : NULL,
				    e->content.octets, t->rc);
	}
	room_filled(s, d);
}

/* ---- one dest -------------------------------------------------------------------------------- */

/* Under the permit: gives the handle back. */
static void
dest_abort(struct dsession *s, struct dest *d)
{
	(void)post_abort(&d->post, &s->caller);
	d->stage = DEST_OVER;
	room_give_back(s, d);
}

static void
dest_failed(struct dsession *s, struct dest *d, const char *method, int32_t rc, const char *text)
{
	struct envelope *e = &s->mail;

	caller_log(&s->caller, d->backend, method, rc, text, e->id, strlen(e->id));
	set_outcome(e, d, rc);
	d->rc = rc;
	if (s->base.task.verdict == VERDICT_GO)
		dest_abort(s, d);
	d->stage = DEST_OVER; /* without a permit the handle goes back later */
}

static size_t
count_wanted(const struct envelope *e, const struct dest *d)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_targets; i++)
		n += &e->dests[e->targets[i].dest] == d && e->targets[i].wanted;
	return n;
}

/* The recipients, one call each. */
static int32_t
dest_rcpts(struct dsession *s, struct dest *d)
{
	struct envelope *e = &s->mail;
	size_t wanted = count_wanted(e, d);
	int64_t until_ms = mono_ms() + SLICE_MS;
	char head[TRACE_MAX];

	if (!d->results && !(d->results = calloc(wanted + 1, sizeof(*d->results))))
		return PM_NOMEM;
	for (; d->next_target < e->n_targets; d->next_target++) {
		struct target *t = &e->targets[d->next_target];
		struct pm_rcpt rcpt = {.size = sizeof(rcpt), .user = &t->user};
		int32_t rc;

		if (&e->dests[t->dest] != d || !t->wanted)
			continue;
		if (mono_ms() >= until_ms)
			return caller_ask(&s->caller, d->backend, CALL_CONTINUE);
		/* a head for each recipient may cost the store a copy, so a single recipient's
		 * goes before the message */
		if (wanted > 1)
			rcpt.head = (struct pm_str){head, trace_head(s, t, head)};
		rc = post_rcpt(&d->post, &s->caller, &rcpt);
		if (rc == PM_AGAIN || host_backend_failed(rc))
			return rc;
		if (rc == PM_OK) {
			d->results[d->n_results].size = sizeof(*d->results);
			t->result = d->n_results++;
			continue;
		}
		t->rc = rc;
		caller_log(&s->caller, d->backend, "dlv_rcpt", rc, d->post.text, t->account,
			   strlen(t->account));
	}
	return d->n_results > 0 ? PM_OK : PM_END;
}

static int32_t
dest_head(struct dsession *s, struct dest *d)
{
	const struct envelope *e = &s->mail;
	char text[2 * TRACE_MAX];
	bool one = count_wanted(e, d) == 1;
	size_t n = 0;

	for (size_t i = 0; i < e->n_targets && one; i++)
		if (&e->dests[e->targets[i].dest] == d && e->targets[i].wanted)
			n = trace_head(s, &e->targets[i], text);
	n += trace_received(s, text + n);
	return post_write(&d->post, &s->caller, text, n);
}

static int32_t
dest_begin(struct dsession *s, struct dest *d)
{
	const struct envelope *e = &s->mail;

	d->post.store = d->backend;
	memcpy(d->post.op_id, e->op_id, sizeof(e->op_id));
	return post_begin(&d->post, &s->caller,
			  e->size != UINT64_MAX ? e->size
			  : e->ended            ? e->content.octets
						: 0,
			  0);
}

static int32_t
dest_chunk(struct dsession *s, struct dest *d)
{
	const struct envelope *e = &s->mail;

	return e->chunk_n > 0 ? post_write(&d->post, &s->caller, e->chunk, e->chunk_n) : PM_OK;
}

/* Goes on as far as it can. PM_OK: the chunk is written. PM_END: no recipient is left. */
static int32_t
dest_go(struct dsession *s, struct dest *d)
{
	static int32_t (*const steps[])(struct dsession * s, struct dest * d) = {
		[DEST_NEW] = dest_begin,
		[DEST_RCPT] = dest_rcpts,
		[DEST_HEAD] = dest_head,
	};

	for (; d->stage < DEST_WRITE; d->stage++) {
		int32_t rc = steps[d->stage](s, d);

		if (rc != PM_OK)
			return rc;
	}
	return dest_chunk(s, d);
}

/* ---- all dests, one after the other ---------------------------------------------------------- */

static enum turn
begin_work(struct dsession *s, enum dsession_work work)
{
	s->work = (uint8_t)work;
	s->mail.at = 0;
	return TURN_ON;
}

/* The next dest this work is for; NULL: none left. */
static struct dest *
next_dest(struct dsession *s)
{
	struct envelope *e = &s->mail;

	for (; e->at < e->n_dests; e->at++) {
		struct dest *d = &e->dests[e->at];

		if (s->work == DWORK_ABORT    ? d->post.dlv != NULL
		    : s->work == DWORK_COMMIT ? d->stage == DEST_PREPARED
					      : d->stage != DEST_OVER && d->stage != DEST_PREPARED)
			return d;
	}
	return NULL;
}

static enum turn write_on(struct dsession *s);
static enum turn prepare_on(struct dsession *s);
static enum turn commit_on(struct dsession *s);

/* Done with one dest. If it is the only one, work continues under the same permit. */
static enum turn
dest_done(struct dsession *s, enum turn (*same)(struct dsession *s))
{
	s->mail.at++;
	return s->mail.n_dests == 1 ? same(s) : TURN_ON;
}

/* All dests have the chunk. */
static enum turn
store_written(struct dsession *s)
{
	struct envelope *e = &s->mail;

	e->handed = true;
	if (!e->ended) {
		e->chunk_n = 0;
		e->split = true;
		s->work = DWORK_NONE;
		return TURN_ON;
	}
	(void)begin_work(s, DWORK_PREPARE);
	return prepare_on(s);
}

static enum turn
write_on(struct dsession *s)
{
	struct dest *d = next_dest(s);
	int32_t rc;

	if (!d)
		return store_written(s);
	rc = dest_go(s, d);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc == PM_END)
		dest_abort(s, d); /* each recipient's own code is known */
	else if (rc != PM_OK)
		dest_failed(s, d, d->stage == DEST_WRITE ? "dlv_write" : "dlv_begin", rc,
			    d->post.text);
	return dest_done(s, write_on);
}

/* Every copy is durable, or has failed. */
static enum turn
store_prepared(struct dsession *s)
{
	struct envelope *e = &s->mail;
	bool all = true;

	if (to_badmail_due(s)) {
		s->work = DWORK_KEEP_COMMIT; /* before anything is visible */
		return TURN_ON;
	}
	for (size_t i = 0; i < e->n_rcpts; i++)
		all = all && !e->rcpts[i].loops && envelope_outcome(e, i) == PM_OK;
	if (!all && !dsession_is_lmtp(s))
		return store_abort(s); /* one reply for all: nobody gets it */
	(void)begin_work(s, DWORK_COMMIT);
	return e->n_dests == 1 && s->base.task.held == e->dests[0].backend->gate ? commit_on(s)
										 : TURN_ON;
}

static enum turn
prepare_on(struct dsession *s)
{
	struct dest *d = next_dest(s);
	struct host_call call;
	int32_t rc;

	if (!d)
		return store_prepared(s);
	rc = caller_enter(&s->caller, d->backend, CALL_CONTINUE, "dlv_prepare",
			  d->backend->limits.commit_ms, &call);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK) {
		dest_failed(s, d, "dlv_prepare", rc, "no permit in time");
		return dest_done(s, prepare_on);
	}
	rc = room_take(s, d);
	if (rc != PM_OK) {
		set_outcome(&s->mail, d, rc);
		dest_abort(s, d);
		return dest_done(s, prepare_on);
	}
	rc = post_prepare(&d->post, &s->caller, d->results);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK)
		dest_failed(s, d, "dlv_prepare", rc, d->post.text);
	else if (take_results(&s->mail, d) == 0)
		dest_abort(s, d);
	else
		d->stage = DEST_PREPARED;
	return dest_done(s, prepare_on);
}

static enum turn
commit_on(struct dsession *s)
{
	struct envelope *e = &s->mail;
	struct dest *d = next_dest(s);
	int32_t rc;

	if (!d && to_badmail_due(s)) {
		s->work = DWORK_KEEP_COMMIT; /* a commit failed after a reply for all */
		return TURN_ON;
	}
	if (!d)
		return envelope_has_handles(e) ? store_abort(s) : answer_over(s);
	rc = post_commit(&d->post, &s->caller, d->results);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (d->post.dlv) { /* it was not begun: nothing is visible */
		dest_failed(s, d, "dlv_commit", rc, d->post.text);
		return dest_done(s, commit_on);
	}
	d->stage = DEST_OVER;
	(void)take_results(e, d); /* each has its own */
	if (rc != PM_OK) {
		caller_log(&s->caller, d->backend, "dlv_commit", rc, d->post.text, e->id,
			   strlen(e->id));
		set_outcome(e, d, rc);
	}
	settle_copies(s, d);
	return dest_done(s, commit_on);
}

/* ---- back ------------------------------------------------------------------------------------ */

enum turn
store_abort(struct dsession *s)
{
	return begin_work(s, DWORK_ABORT);
}

/* Nothing is held any more. */
static enum turn
store_aborted(struct dsession *s)
{
	struct envelope *e = &s->mail;

	s->work = DWORK_NONE;
	for (size_t i = 0; i < e->n_dests; i++)
		e->dests[i].stage = DEST_OVER;
	if (s->base.io.left)
		return TURN_END;
	if (e->ended)
		return answer_over(s);
	if (e->forget)
		dsession_forget(s);
	return TURN_ON; /* a refused message is read to its end */
}

static enum turn
abort_on(struct dsession *s)
{
	struct dest *d = next_dest(s);
	enum turn m;

	if (!d)
		return to_badmail_end(s, &m) ? store_aborted(s) : m;
	if (post_abort(&d->post, &s->caller) == PM_AGAIN)
		return TURN_PERMIT;
	d->stage = DEST_OVER;
	room_give_back(s, d);
	s->mail.at++;
	return TURN_ON;
}

static enum turn
keep_on(struct dsession *s)
{
	enum turn m;

	if (!to_badmail_commit(s, &m))
		return m;
	s->mail.at = 0;
	s->work = DWORK_PREPARE;
	return store_prepared(s); /* mail in Badmail counts as delivered */
}

enum turn
store_work(struct dsession *s)
{
	switch ((enum dsession_work)s->work) {
	case DWORK_TO_BADMAIL:
		return to_badmail_write(s);
	case DWORK_KEEP_COMMIT:
		return keep_on(s);
	case DWORK_WRITE:
		return write_on(s);
	case DWORK_PREPARE:
		return prepare_on(s);
	case DWORK_COMMIT:
		return commit_on(s);
	default:
		return abort_on(s);
	}
}
