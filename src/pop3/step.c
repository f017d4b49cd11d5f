/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one loop. A turn is: notes and deadline, then - until something must be waited for - the work that
 * was begun, the next command, the flush, the next read. Handlers say what they want next; only this file
 * parks, arms, flushes and reads.
 */
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "core/stats.h"
#include "pop3/command.h"
#include "pop3/session.h"

#define HANDSHAKE_MS 30000
#define DRAIN_MS 2000 /* for the client to close after our last word */

/* ---- deadline and notes ---------------------------------------------------------------------- */

/* Work that runs by its own clock. */
static bool
on_timer(const struct session *s)
{
	return s->work == WORK_PENALTY || s->work == WORK_DENIED || s->work == WORK_CLAIM;
}

static int64_t
limit_ms(const struct session *s)
{
	int64_t at;

	switch ((enum session_state)s->state) {
	case STATE_HANDSHAKE:
		at = s->begun_ms + HANDSHAKE_MS;
		return at < s->login_by_ms || s->listener->tls != CONF_TLS_IMPLICIT ? at : s->login_by_ms;
	case STATE_AUTH:
		return s->login_by_ms;
	case STATE_CLOSING:
		return s->io.idle_since_ms + (s->io.shut ? DRAIN_MS : s->conf->idle_timeout_ms);
	default:
		return s->io.idle_since_ms + s->conf->idle_timeout_ms;
	}
}

/* Once QUIT's commit has begun it comes to its end, whatever happens to the client. */
static bool
unstoppable(const struct session *s)
{
	return s->work == WORK_EXPIRE || s->work == WORK_COMMIT || (s->work == WORK_CLOSE && s->quit);
}

static void
take_notes(struct session *s, int64_t now_ms)
{
	unsigned note = slot_take_note(s->task.slot);

	if (note & NOTE_KICK)
		(void)session_end(s, "kicked");
	if ((note & NOTE_DRAIN) && !s->storage)
		(void)session_end(s, "shutdown");
	if ((note & NOTE_PRESSURE) && !s->storage && !s->login)
		(void)session_end(s, "pushed out: too many connections");
	if ((note & NOTE_TAKEOVER) && s->claim && !s->quit &&
	    registry_should_yield(s->claim, s->conf->takeover_ms, now_ms)) {
		stat_add(STAT_TAKEOVER, 1);
		(void)session_end(s, "taken over by a new session from the same address");
	}
	if (note & NOTE_WAKE)
		s->resume_ms = now_ms; /* what we waited for has happened */
	/* RFC 1939 s3: on expiry close without a response */
	if (s->task.verdict == VERDICT_NONE && !on_timer(s) && now_ms >= limit_ms(s))
		(void)session_end(s, s->state == STATE_AUTH ? "login timeout" : s->state == STATE_HANDSHAKE
								? "TLS handshake timeout"
								: "idle timeout");
}

/* ---- commands -------------------------------------------------------------------------------- */

static enum move
bad_command(struct session *s, const char *text)
{
	stat_add(STAT_BAD_COMMAND, 1);
	(void)session_err(s, CODE_NONE, text);
	if (++s->bad_commands >= s->conf->max_bad_commands) {
		(void)session_end(s, "too many bad commands");
		s->state = STATE_CLOSING;
	}
	return MOVE_ON;
}

static enum move
run_command(struct session *s, const struct command *c)
{
	const struct command_row *row = s->state == STATE_AUTH ? auth_commands : trans_commands;

	while (row->verb != VERB_UNKNOWN && row->verb != c->verb)
		row++;
	if (row->verb == VERB_UNKNOWN)
		return bad_command(s, c->verb == VERB_UNKNOWN ? "unknown command" : "not possible in this state");
	if (c->argc < row->min_args || c->argc > row->max_args || c->too_many)
		return bad_command(s, row->usage);
	s->bad_commands = 0;
	return row->run(s, c);
}

/* Takes one line of n bytes from the ring. */
static enum move
take_line(struct session *s, size_t n)
{
	char raw[SESSION_IN], line[SESSION_IN];
	enum parse_result r;
	struct command c;
	struct parse p;
	enum move m;
	size_t used;

	stream_take(&s->io, raw, n);
	if (s->io.discarding) {
		s->io.discarding = false;
		sasl_drop(s);
		return bad_command(s, "line too long");
	}
	parse_init(&p, line, sizeof(line));
	parse_set_line_mode(&p, s->sasl != NULL, SESSION_SASL_MAX);
	r = parse_feed(&p, raw, n, &used, &c);
	secret_wipe(raw, n);
	switch (r) {
	case PARSE_COMMAND:
		m = run_command(s, &c);
		break;
	case PARSE_LINE:
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
	secret_wipe(line, n);
	if (s->claim)
		registry_touch(s->claim, mono_ms(), maildrop_pending(&s->drop) > 0);
	return m;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* +OK to STLS is sent: from here on only TLS is understood. */
static enum move
begin_tls(struct session *s)
{
	s->stls = false;
	session_forget(s);
	s->state = STATE_HANDSHAKE;
	s->begun_ms = mono_ms(); /* of the handshake's 30 s */
	return conn_tls(&s->io.conn, s->conf->tls) ? MOVE_ON : session_end(s, "out of memory");
}

static enum move
handshake(struct session *s)
{
	enum move m = stream_handshake(&s->io);

	if (m != MOVE_ON) {
		stat_add(STAT_TLS_FAILED, m == MOVE_END);
		return m;
	}
	stat_add(STAT_TLS_HANDSHAKE, 1);
	s->state = STATE_AUTH;
	if (s->listener->tls == CONF_TLS_IMPLICIT)
		(void)session_ok(s, "restante ready");
	session_publish(s);
	return MOVE_ON;
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum move
finish(struct session *s)
{
	if (!s->io.left) {
		login_drop(s);
		session_log_end(s);
	}
	if (s->mbox || s->msg) {
		stream_leave(&s->io); /* the socket goes now, the lock when its store takes it back */
		s->work = WORK_CLOSE;
		return update_close(s);
	}
	registry_release(s->claim); /* claimed, and never opened */
	s->claim = NULL;
	return MOVE_END;
}

/* ---- one turn -------------------------------------------------------------------------------- */

static enum move
run_work(struct session *s)
{
	bool producing = s->work == WORK_MSG || s->work == WORK_UIDL || s->work == WORK_LIST;
	enum move m;

	/* without a permit: what is ready goes out first, and a producer needs room */
	if (s->task.verdict == VERDICT_NONE && !s->io.left &&
	    ring_used(&s->io.out) > (producing ? SESSION_OUT_LOW : 0)) {
		m = stream_flush(&s->io);
		if (s->io.how)
			return MOVE_ON;
		if (m != MOVE_ON && producing && ring_used(&s->io.out) > SESSION_OUT_LOW)
			return m;
		if (s->io.turn_octets >= SESSION_TURN_OCTETS && producing) {
			s->io.parked = true; /* a turn of its own */
			return MOVE_YIELD;
		}
	}
	switch ((enum session_work)s->work) {
	case WORK_SIZES:
		return produce_sizes(s);
	case WORK_LIST:
		return produce_list(s);
	case WORK_UIDL:
		return produce_uidl(s);
	case WORK_MSG:
		return produce_msg(s);
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

static enum move
turn(struct session *s)
{
	size_t n;
	enum move m;

	if (s->io.how && s->state != STATE_CLOSING && !unstoppable(s))
		return finish(s);
	if (s->work != WORK_NONE)
		return run_work(s);
	if (s->state == STATE_HANDSHAKE)
		return handshake(s);
	if (s->state == STATE_CLOSING) {
		m = stream_closing(&s->io, limit_ms(s));
		return m == MOVE_END ? finish(s) : m;
	}
	if (!s->stls && ring_used(&s->io.out) < SESSION_OUT_LOW && stream_has_line(&s->io, &n))
		return take_line(s, n);
	m = stream_flush(&s->io);
	if (m != MOVE_ON || s->io.how)
		return s->io.how ? MOVE_ON : m;
	if (s->stls)
		return begin_tls(s);
	if (stream_has_line(&s->io, &n))
		return MOVE_ON; /* output was in the way */
	m = stream_read(&s->io);
	return m == MOVE_END ? MOVE_ON : m;
}

enum next
session_step(struct task *t)
{
	struct session *s = (struct session *)t;
	enum move m;

	stream_turn(&s->io);
	take_notes(s, mono_ms());
	for (;;) {
		m = turn(s);
		t->verdict = VERDICT_NONE; /* a permit is good for one call of a handler */
		switch (m) {
		case MOVE_ON:
			if (t->held)
				return NEXT_MORE; /* the permit goes home before anything is sent */
			continue;
		case MOVE_PERMIT:
		case MOVE_YIELD:
			return NEXT_AGAIN;
		case MOVE_READ:
			return stream_park(&s->io, CONN_WANT_READ, limit_ms(s));
		case MOVE_WRITE:
			return stream_park(&s->io, CONN_WANT_WRITE, limit_ms(s));
		case MOVE_TIMER:
			(void)stream_flush(&s->io); /* what will not go now goes later */
			return stream_park(&s->io, CONN_WANT_READ, s->resume_ms);
		case MOVE_END:
			return NEXT_DONE;
		}
	}
}
