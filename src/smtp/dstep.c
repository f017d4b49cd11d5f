/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/dstep.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/stats.h"
#include "smtp/answer.h"
#include "smtp/dcmd.h"
#include "smtp/intake.h"
#include "smtp/rcpt.h"
#include "smtp/store.h"

static _Atomic uint32_t sessions; /* for the max_sessions of delivery */

/* ---- notes and duties ------------------------------------------------------------------------ */

static void
dstep_notes(struct task *t, unsigned note, int64_t now_ms)
{
	struct dsession *s = (struct dsession *)t;

	(void)now_ms;
	s->draining = s->draining || (note & NOTE_DRAIN);
	if (s->work != DWORK_NONE)
		return;
	dsession_drain(s);
	if ((note & NOTE_PRESSURE) && !s->mail.begun)
		dsession_close(s, "4.3.2", "too many connections, try again later",
			       "pushed out: too many connections");
}

/* Only the client can be late: with a command, with its message, with reading our replies. */
static void
dstep_late(struct task *t, const char *how)
{
	struct dsession *s = (struct dsession *)t;

	if (s->work == DWORK_NONE)
		dsession_close(s, "4.4.2", "nothing came for too long, closing", how);
	else if (s->work == DWORK_REPLY)
		(void)stream_end(&s->base.io, how);
}

/* An accepted message is brought to its end and answered, and handles are given back. */
static enum talk_duty
dstep_duty(const struct task *t)
{
	const struct dsession *s = (const struct dsession *)t;

	switch ((enum dsession_work)s->work) {
	case DWORK_NONE:
		return s->state == DSTATE_COMMAND ? TALK_LINE : TALK_FEED;
	case DWORK_COMMIT:
	case DWORK_ABORT:
		return TALK_BOUND;
	case DWORK_REPLY:
		return stream_ended(&s->base.io) ? TALK_BOUND : TALK_PRODUCE;
	default:
		return TALK_WORK;
	}
}

/* ---- commands and work ----------------------------------------------------------------------- */

static enum turn
dstep_line(struct task *t, const char *line, size_t n)
{
	struct dsession *s = (struct dsession *)t;
	struct dcommand c;

	switch (line ? dparse_line(line, n, &c) : DPARSE_TOO_LONG) {
	case DPARSE_COMMAND:
		return dcmd_run(s, &c);
	case DPARSE_TOO_LONG:
		return dsession_fault(s, 500, "5.5.2", "line too long");
	case DPARSE_NUL:
		return dsession_fault(s, 500, "5.5.2", "a NUL is not possible in a command");
	default:
		return dsession_fault(s, 500, "5.5.2",
				      "a control character is not possible in a command");
	}
}

static enum turn
dstep_work(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	switch ((enum dsession_work)s->work) {
	case DWORK_LOOKUP:
	case DWORK_ROOM:
		return rcpt_work(s);
	case DWORK_REPLY:
		return answer_work(s);
	default:
		return store_work(s);
	}
}

static enum turn
dstep_produce(struct task *t)
{
	return answer_work((struct dsession *)t);
}

static enum turn
dstep_feed(struct task *t, const char *p, size_t n, size_t *ret_used)
{
	return intake_feed((struct dsession *)t, p, n, ret_used);
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum turn
dstep_finish(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	if (!s->base.io.left) {
		dsession_log_end(s);
		talk_hang_up(&s->base.talk);
	}
	return envelope_has_handles(&s->mail) ? store_abort(s) : TURN_END;
}

static void
dstep_drop(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	dsession_drop_lookup(s);
	envelope_reset(&s->mail);
	if (s->counted)
		atomic_fetch_sub(&sessions, 1);
}

/* ---- birth ----------------------------------------------------------------------------------- */

static int64_t
dstep_idle_ms(const struct conf *c)
{
	return c->delivery.idle_timeout_ms;
}

static const struct protocol delivery_protocol = {
	.size = sizeof(struct dsession),
	.in = DSESSION_IN,
	.out = DSESSION_OUT,
	.idle_ms = dstep_idle_ms,
	.greet = dsession_greet,
	.describe = dsession_describe,
	.notes = dstep_notes,
	.late = dstep_late,
	.duty = dstep_duty,
	.work = dstep_work,
	.produce = dstep_produce,
	.feed = dstep_feed,
	.line = dstep_line,
	.forget = dsession_clear,
	.finish = dstep_finish,
	.drop = dstep_drop,
};

struct task *
delivery_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct dsession *s = (struct dsession *)session_new(&delivery_protocol, l, fd, p);
	struct task *t;
	uint32_t max;
	bool lmtp;

	if (!s)
		return NULL;
	envelope_init(&s->mail);
	s->connected = *p;
	s->caller = session_caller(&s->base, &s->mail.arena);
	max = s->base.conf->delivery.max_sessions;
	/* counted before it is judged: those from a proxy are born on several workers at once */
	s->counted = true;
	if (atomic_fetch_add(&sessions, 1) >= max && max > 0) {
		session_free(&s->base);
		return NULL;
	}
	lmtp = dsession_is_lmtp(s);
	t = session_start(&s->base);
	if (t)
		stat_add(lmtp ? STAT_LMTP_SESSIONS : STAT_SMTP_SESSIONS, 1);
	return t;
}
