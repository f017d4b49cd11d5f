/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/step.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/stats.h"
#include "pop3/cmd_auth.h"
#include "pop3/cmd_trans.h"
#include "pop3/expire.h"
#include "pop3/login.h"
#include "pop3/message.h"
#include "pop3/produce.h"
#include "pop3/sasl.h"
#include "pop3/update.h"

/* ---- notes and duties ------------------------------------------------------------------------ */

static void
step_notes(struct task *t, unsigned note, int64_t now_ms)
{
	struct pop3 *s = (struct pop3 *)t;

	if ((note & NOTE_DRAIN) && !s->storage)
		(void)stream_end(&s->base.io, "shutdown");
	if ((note & NOTE_PRESSURE) && !s->storage && !s->login)
		(void)stream_end(&s->base.io, "pushed out: too many connections");
	if ((note & NOTE_TAKEOVER) && s->claim && !s->quit &&
	    registry_should_yield(s->claim, s->base.conf->takeover_ms, now_ms)) {
		stat_add(STAT_TAKEOVER, 1);
		(void)stream_end(&s->base.io, "taken over by a new session from the same address");
	}
}

/* RFC 1939 s3: when the time is over, close without a response. Some works have timers of their
 * own. */
static void
step_late(struct task *t, const char *how)
{
	struct pop3 *s = (struct pop3 *)t;

	if (s->work != WORK_PENALTY && s->work != WORK_DENIED && s->work != WORK_CLAIM)
		(void)stream_end(&s->base.io, how);
}

/* Once QUIT has begun, it is brought to its end. */
static enum talk_duty
step_duty(const struct task *t)
{
	const struct pop3 *s = (const struct pop3 *)t;

	switch ((enum pop3_work)s->work) {
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
bad_command(struct pop3 *s, const char *text)
{
	stat_add(STAT_BAD_COMMAND, 1);
	(void)pop3_err(s, CODE_NONE, text);
	if (++s->bad_commands >= s->base.conf->max_bad_commands)
		return talk_close(&s->base.talk, "too many bad commands");
	return TURN_ON;
}

static enum turn
run_command(struct pop3 *s, const struct command *c)
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
	struct pop3 *s = (struct pop3 *)t;
	enum parse_result r = PARSE_TOO_LONG;
	struct command c;
	enum turn m;

	if (line)
		r = s->sasl ? parse_response(line, n, POP3_SASL_MAX, &c) : parse_line(line, n, &c);
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
	struct pop3 *s = (struct pop3 *)t;

	switch ((enum pop3_work)s->work) {
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
	struct pop3 *s = (struct pop3 *)t;

	switch ((enum pop3_work)s->work) {
	case WORK_LIST:
		return produce_list(s);
	case WORK_UIDL:
		return produce_uidl(s);
	default:
		return message_send(s);
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
step_forget(struct task *t)
{
	struct pop3 *s = (struct pop3 *)t;

	s->user_given = NULL;
	sasl_drop(s);
}

static enum turn
step_finish(struct task *t)
{
	struct pop3 *s = (struct pop3 *)t;

	if (!s->base.io.left) {
		login_drop(s);
		pop3_log_end(s);
	}
	if (s->visit.mbox) {
		talk_hang_up(&s->base.talk);
		s->work = WORK_CLOSE;
		return update_close(s);
	}
	registry_release(s->claim); /* claimed, and never opened */
	s->claim = NULL;
	return TURN_END;
}

static void
step_drop(struct task *t)
{
	struct pop3 *s = (struct pop3 *)t;

	login_drop(s);
	sasl_drop(s);
	maildrop_fini(&s->drop);
	backend_put(s->storage);
}

/* ---- birth ----------------------------------------------------------------------------------- */

static int64_t
step_idle_ms(const struct conf *c)
{
	return c->idle_timeout_ms;
}

static const struct protocol pop3_protocol = {
	.size = sizeof(struct pop3),
	.in = POP3_IN,
	.out = POP3_OUT,
	.idle_ms = step_idle_ms,
	.greet = pop3_greet,
	.describe = pop3_describe,
	.notes = step_notes,
	.late = step_late,
	.duty = step_duty,
	.prompt = true,
	.work = step_work,
	.produce = step_produce,
	.line = step_line,
	.forget = step_forget,
	.finish = step_finish,
	.drop = step_drop,
};

/* The stamp for APOP, RFC 1939 s7: <process.clock@host>, different each time. */
static void
make_stamp(struct pop3 *s)
{
	char text[320];
	uint64_t salt;

	if (!s->base.conf->apop)
		return;
	secret_random(&salt, sizeof(salt));
	snprintf(text, sizeof(text), "<%d.%lld.%llx@%.200s>", (int)getpid(), (long long)wall_ms(),
		 (unsigned long long)salt, s->base.conf->hostname);
	s->apop_stamp = arena_dup(&s->base.arena, text, strlen(text));
}

struct task *
pop3_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct pop3 *s = (struct pop3 *)session_new(&pop3_protocol, l, fd, p);
	struct task *t;

	if (!s)
		return NULL;
	s->caller = session_caller(&s->base, &s->base.arena);
	s->base.talk.login_by_ms = s->base.talk.begun_ms + s->base.conf->login_timeout_ms;
	make_stamp(s);
	t = session_start(&s->base);
	stat_add(STAT_SESSIONS, t != NULL);
	return t;
}
