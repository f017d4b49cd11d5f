/* SPDX-License-Identifier: Apache-2.0 */
/* What delivery gives to the one loop (session/talk.h): notes, lines, the work that was begun, the
 * end. */
#include <string.h>

#include "base/clock.h"
#include "base/stats.h"
#include "smtp/dcmd.h"
#include "smtp/dsession.h"

/* ---- notes and duties ------------------------------------------------------------------------ */

/* The last reply of a session that did not ask for it. */
static void
close_with(struct dsession *s, const char *enhanced, const char *text, const char *how)
{
	if (stream_ended(&s->io))
		return;
	if (s->talk.phase == TALK_TLS) {
		(void)stream_end(&s->io, how);
		return;
	}
	(void)talk_close(&s->talk, how);
	(void)dsession_say(s, 421, enhanced, text);
	s->io.idle_since_ms = mono_ms(); /* it may take some time to hear it */
}

void
dsession_drain(struct dsession *s)
{
	if (s->draining && !s->mail.begun)
		close_with(s, "4.3.2", "the server is going down, try again soon", "shutdown");
}

static void
dstep_step_notes(struct task *t, unsigned note, int64_t now_ms)
{
	struct dsession *s = (struct dsession *)t;

	(void)now_ms;
	s->draining = s->draining || (note & NOTE_DRAIN);
	if (s->work != DWORK_NONE)
		return;
	dsession_drain(s);
	if ((note & NOTE_PRESSURE) && !s->mail.begun)
		close_with(s, "4.3.2", "too many connections, try again later",
			   "pushed out: too many connections");
}

/* Only the client can be late: with a command, with its message, in reading our replies. */
static void
dstep_step_late(struct task *t, const char *how)
{
	struct dsession *s = (struct dsession *)t;

	if (s->work == DWORK_NONE)
		close_with(s, "4.4.2", "nothing came for too long, closing", how);
	else if (s->work == DWORK_REPLY)
		(void)stream_end(&s->io, how);
}

/* What was accepted comes to its end and is answered, and what is held goes home. */
static enum talk_duty
dstep_step_duty(const struct task *t)
{
	const struct dsession *s = (const struct dsession *)t;

	switch ((enum dsession_work)s->work) {
	case DWORK_NONE:
		return s->state == DSTATE_COMMAND ? TALK_LINE : TALK_FEED;
	case DWORK_COMMIT:
	case DWORK_ABORT:
		return TALK_BOUND;
	case DWORK_REPLY:
		return stream_ended(&s->io) ? TALK_BOUND : TALK_PRODUCE;
	default:
		return TALK_WORK;
	}
}

/* ---- commands and work ----------------------------------------------------------------------- */

static enum turn
dstep_step_line(struct task *t, const char *line, size_t n)
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
dstep_step_work(struct task *t)
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
dstep_step_produce(struct task *t)
{
	return answer_work((struct dsession *)t);
}

static enum turn
dstep_step_feed(struct task *t, const char *p, size_t n, size_t *ret_used)
{
	return intake_feed((struct dsession *)t, p, n, ret_used);
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum turn
dstep_step_finish(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	if (!s->io.left) {
		dsession_log_end(s);
		talk_hang_up(&s->talk);
	}
	return envelope_has_handles(&s->mail) ? store_abort(s) : TURN_END;
}

const struct protocol delivery_protocol = {
	.greet = dsession_greet,
	.describe = dsession_describe,
	.notes = dstep_step_notes,
	.late = dstep_step_late,
	.duty = dstep_step_duty,
	.work = dstep_step_work,
	.produce = dstep_step_produce,
	.feed = dstep_step_feed,
	.line = dstep_step_line,
	.forget = dsession_clear,
	.finish = dstep_step_finish,
};
