/* SPDX-License-Identifier: Apache-2.0 */
/* What POP3 gives to the one loop (session/talk.h): notes, lines, the work that was begun, the
 * end. */
#include "base/clock.h"
#include "base/stats.h"
#include "pop3/command.h"
#include "pop3/session.h"

/* ---- notes and duties ------------------------------------------------------------------------ */

static void
step_notes(struct task *t, unsigned note, int64_t now_ms)
{
	struct session *s = (struct session *)t;

	if ((note & NOTE_DRAIN) && !s->storage)
		(void)stream_end(&s->io, "shutdown");
	if ((note & NOTE_PRESSURE) && !s->storage && !s->login)
		(void)stream_end(&s->io, "pushed out: too many connections");
	if ((note & NOTE_TAKEOVER) && s->claim && !s->quit &&
	    registry_should_yield(s->claim, s->conf->takeover_ms, now_ms)) {
		stat_add(STAT_TAKEOVER, 1);
		(void)stream_end(&s->io, "taken over by a new session from the same address");
	}
}

/* RFC 1939 s3: on expiry close without a response. Some work runs by its own clock. */
static void
step_late(struct task *t, const char *how)
{
	struct session *s = (struct session *)t;

	if (s->work != WORK_PENALTY && s->work != WORK_DENIED && s->work != WORK_CLAIM)
		(void)stream_end(&s->io, how);
}

/* Once QUIT's commit has begun it comes to its end. */
static enum talk_duty
step_duty(const struct task *t)
{
	const struct session *s = (const struct session *)t;

	switch ((enum session_work)s->work) {
	case WORK_NONE:
		return TALK_LINE;
	case WORK_LIST:
	case WORK_UIDL:
	case WORK_MSG:
		return TALK_PRODUCE;
	case WORK_EXPIRE:
	case WORK_COMMIT:
		return TALK_BOUND;
	case WORK_CLOSE:
		return s->quit ? TALK_BOUND : TALK_WORK;
	default:
		return TALK_WORK;
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

static enum turn
bad_command(struct session *s, const char *text)
{
	stat_add(STAT_BAD_COMMAND, 1);
	(void)session_err(s, CODE_NONE, text);
	if (++s->bad_commands >= s->conf->max_bad_commands)
		return talk_close(&s->talk, "too many bad commands");
	return TURN_ON;
}

static enum turn
run_command(struct session *s, const struct command *c)
{
	const struct command_row *row = s->state == STATE_AUTH ? auth_commands : trans_commands;

	while (row->verb != VERB_UNKNOWN && row->verb != c->verb)
		row++;
	if (row->verb == VERB_UNKNOWN)
		return bad_command(s, c->verb == VERB_UNKNOWN ? "unknown command"
							      : "not possible in this state");
	if (c->argc < row->min_args || c->argc > row->max_args || c->too_many)
		return bad_command(s, row->usage);
	s->bad_commands = 0;
	return row->run(s, c);
}

static enum turn
step_line(struct task *t, const char *line, size_t n)
{
	struct session *s = (struct session *)t;
	enum parse_result r = PARSE_TOO_LONG;
	struct command c;
	enum turn m;

	if (line)
		r = s->sasl ? parse_response(line, n, SESSION_SASL_MAX, &c)
			    : parse_line(line, n, &c);
	switch (r) {
	case PARSE_COMMAND:
		m = run_command(s, &c);
		break;
	case PARSE_RESPONSE:
		m = sasl_line(s, c.rest.p, c.rest.n);
		break;
	case PARSE_TOO_LONG:
		sasl_drop(s);
		m = bad_command(s, "line too long");
		break;
	case PARSE_NUL:
		sasl_drop(s);
		m = bad_command(s, "a NUL is not possible in a command");
		break;
	default:
		m = bad_command(s, "unknown command");
	}
	if (s->claim)
		registry_touch(s->claim, mono_ms(), maildrop_pending(&s->drop) > 0);
	return m;
}

/* ---- work ------------------------------------------------------------------------------------ */

static enum turn
step_work(struct task *t)
{
	struct session *s = (struct session *)t;

	switch ((enum session_work)s->work) {
	case WORK_SIZES:
		return produce_sizes(s);
	case WORK_EXPIRE:
		return expire_work(s);
	case WORK_COMMIT:
		return update_commit(s);
	case WORK_CLOSE:
		return update_close(s);
	default:
		return login_work(s);
	}
}

static enum turn
step_produce(struct task *t)
{
	struct session *s = (struct session *)t;

	switch ((enum session_work)s->work) {
	case WORK_LIST:
		return produce_list(s);
	case WORK_UIDL:
		return produce_uidl(s);
	default:
		return message_send(s);
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum turn
step_finish(struct task *t)
{
	struct session *s = (struct session *)t;

	if (!s->io.left) {
		login_drop(s);
		session_log_end(s);
	}
	if (s->visit.mbox) {
		talk_hang_up(&s->talk);
		s->work = WORK_CLOSE;
		return update_close(s);
	}
	registry_release(s->claim); /* claimed, and never opened */
	s->claim = NULL;
	return TURN_END;
}

const struct protocol pop3_protocol = {
	.greet = session_greet,
	.describe = session_describe,
	.notes = step_notes,
	.late = step_late,
	.duty = step_duty,
	.prompt = true,
	.work = step_work,
	.produce = step_produce,
	.line = step_line,
	.forget = session_forget,
	.finish = step_finish,
};
