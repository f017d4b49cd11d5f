/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one loop. A turn is: notes and deadline, then - until something must be waited for - the work that
 * was begun, the next command, the flush, the next read. Handlers say what they want next; only this file
 * parks, arms, flushes and reads.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
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
		return s->idle_since_ms + (s->shut ? DRAIN_MS : s->conf->idle_timeout_ms);
	default:
		return s->idle_since_ms + s->conf->idle_timeout_ms;
	}
}

/* Once QUIT's commit has begun it comes to its end, whatever happens to the client. */
static bool
unstoppable(const struct session *s)
{
	return s->work == WORK_COMMIT || (s->work == WORK_CLOSE && s->quit);
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

/* ---- bytes ----------------------------------------------------------------------------------- */

/* MOVE_ON: all is sent. */
static enum move
flush(struct session *s)
{
	while (ring_used(&s->out) > 0) {
		size_t n;
		const void *p = ring_data(&s->out, &n);
		ssize_t sent = conn_write(&s->conn, p, n);

		if (sent > 0) {
			ring_consume(&s->out, (size_t)sent, false);
			s->turn_octets += (uint64_t)sent;
			s->idle_since_ms = mono_ms(); /* the client reads: it is not idle */
			continue;
		}
		if (sent == CONN_WANT_WRITE)
			return MOVE_WRITE;
		if (sent == CONN_WANT_READ)
			return MOVE_READ;
		return session_end(s, "connection lost");
	}
	ring_rest(&s->out);
	return MOVE_ON;
}

/* Is there a whole line, or one that is over every limit? */
static bool
has_line(struct session *s, size_t *ret_n)
{
	size_t used = ring_used(&s->in);
	long at = used > s->scanned ? ring_find(&s->in, s->scanned, '\n') : -1;

	if (at >= 0) {
		*ret_n = (size_t)at + 1;
		return true;
	}
	s->scanned = used;
	if (used == SESSION_IN) {
		s->discarding = true; /* no line may be as long as the ring */
		ring_consume(&s->in, used, true);
		s->scanned = 0;
	}
	return false;
}

static enum move
read_more(struct session *s)
{
	size_t room;
	void *space;
	ssize_t n;

	/* after a short read there is nothing more, and an edge will say when there is */
	if (s->read_done && s->conn.short_read && !(slot_peek_note(s->task.slot) & NOTE_HUP)) {
		ring_rest(&s->in);
		return MOVE_READ;
	}
	space = ring_space(&s->in, &room);
	if (!space)
		return session_end(s, "out of memory");
	n = conn_read(&s->conn, space, room);
	s->read_done = true;
	if (n > 0) {
		ring_commit(&s->in, (size_t)n);
		s->idle_since_ms = mono_ms();
		return MOVE_ON;
	}
	ring_rest(&s->in);
	if (n == CONN_WANT_READ)
		return MOVE_READ;
	if (n == CONN_WANT_WRITE)
		return MOVE_WRITE;
	s->eof = true;
	return session_end(s, n == CONN_EOF ? "disconnected" : "connection lost");
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

	(void)ring_peek(&s->in, 0, raw, n);
	ring_consume(&s->in, n, true); /* it may hold a password */
	s->scanned = 0;
	if (s->discarding) {
		s->discarding = false;
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
	return conn_tls(&s->conn, s->conf->tls) ? MOVE_ON : session_end(s, "out of memory");
}

static enum move
handshake(struct session *s)
{
	int rc = conn_handshake(&s->conn);

	s->read_done = true;
	if (rc == CONN_WANT_READ)
		return MOVE_READ;
	if (rc == CONN_WANT_WRITE)
		return MOVE_WRITE;
	if (rc != 1) {
		stat_add(STAT_TLS_FAILED, 1);
		return session_end(s, "TLS handshake failed");
	}
	stat_add(STAT_TLS_HANDSHAKE, 1);
	s->state = STATE_AUTH;
	s->read_done = false;
	if (s->listener->tls == CONF_TLS_IMPLICIT)
		(void)session_ok(s, "restante ready");
	session_publish(s);
	return MOVE_ON;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The last reply is sent; a client that still talks is heard out, or a reset would eat our words. */
static enum move
closing(struct session *s)
{
	char rest[512];
	ssize_t n;
	enum move m = flush(s);

	if (m != MOVE_ON)
		return m;
	if (!s->shut) {
		conn_shutdown(&s->conn);
		s->shut = true;
		if (ring_used(&s->in) == 0 && s->read_done && s->conn.short_read)
			return MOVE_END; /* nothing unread: closing sends no reset */
		ring_fini(&s->in);
	}
	do
		n = conn_read(&s->conn, rest, sizeof(rest));
	while (n > 0);
	s->read_done = true;
	return n == CONN_WANT_READ ? MOVE_READ : MOVE_END;
}

static enum move
finish(struct session *s)
{
	if (!s->left) {
		login_drop(s);
		session_log_end(s);
	}
	if (s->mbox || s->msg) {
		session_leave(s); /* the socket goes now, the lock when its store takes it back */
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
	if (s->task.verdict == VERDICT_NONE && !s->left &&
	    ring_used(&s->out) > (producing ? SESSION_OUT_LOW : 0)) {
		m = flush(s);
		if (s->how)
			return MOVE_ON;
		if (m != MOVE_ON && producing && ring_used(&s->out) > SESSION_OUT_LOW)
			return m;
		if (s->turn_octets >= SESSION_TURN_OCTETS && producing) {
			s->parked = true; /* a turn of its own */
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

	if (s->how && s->state != STATE_CLOSING && !unstoppable(s))
		return finish(s);
	if (s->work != WORK_NONE)
		return run_work(s);
	if (s->state == STATE_HANDSHAKE)
		return handshake(s);
	if (s->state == STATE_CLOSING) {
		m = closing(s);
		return m == MOVE_END ? finish(s) : m;
	}
	if (!s->stls && ring_used(&s->out) < SESSION_OUT_LOW && has_line(s, &n))
		return take_line(s, n);
	m = flush(s);
	if (m != MOVE_ON || s->how)
		return s->how ? MOVE_ON : m;
	if (s->stls)
		return begin_tls(s);
	if (has_line(s, &n))
		return MOVE_ON; /* output was in the way */
	m = read_more(s);
	return m == MOVE_END ? MOVE_ON : m;
}

static enum next
park(struct session *s, int want, int64_t deadline_ms)
{
	s->parked = true;
	slot_set_deadline(s->task.slot, deadline_ms);
	if (!conn_arm(&s->conn, s->task.slot, want)) {
		/* the kernel cannot watch it any more: give back what is held */
		(void)session_end(s, "connection lost");
		slot_set_deadline(s->task.slot, 0);
		return NEXT_AGAIN;
	}
	return NEXT_PARK;
}

enum next
session_step(struct task *t)
{
	struct session *s = (struct session *)t;
	enum move m;

	/* an edge that came while the session was parked or at a gate is spent: only a read tells */
	if (s->parked || t->waiting_since_ms != 0) {
		s->turn_octets = 0;
		s->read_done = false;
		s->parked = false;
		t->waiting_since_ms = 0;
	}
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
			return park(s, CONN_WANT_READ, limit_ms(s));
		case MOVE_WRITE:
			return park(s, CONN_WANT_WRITE, limit_ms(s));
		case MOVE_TIMER:
			(void)flush(s); /* what will not go now goes later */
			return park(s, CONN_WANT_READ, s->resume_ms);
		case MOVE_END:
			return NEXT_DONE;
		}
	}
}
