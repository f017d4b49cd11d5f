/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one loop of delivery, as pop3/step.c is POP3's. A turn is: notes and deadline, then - until
 * something must be waited for - the work that was begun, the next command or more of the message,
 * the flush, the next read.
 */
#include <string.h>

#include "base/clock.h"
#include "core/stats.h"
#include "delivery/command.h"
#include "delivery/dsession.h"
#include "work/slot.h"

#define HANDSHAKE_MS 30000
#define DRAIN_MS 2000 /* for the client to close after our last word */

/* ---- deadline and notes ---------------------------------------------------------------------- */

static int64_t
limit_ms(const struct dsession *s)
{
	int64_t idle_ms = s->conf->delivery.idle_timeout_ms;

	if (s->state == DSTATE_HANDSHAKE)
		return s->begun_ms + HANDSHAKE_MS;
	return s->io.idle_since_ms + (s->io.shut ? DRAIN_MS : idle_ms);
}

/* What was accepted comes to its end and is answered, whatever happens to the session. */
static bool
unstoppable(const struct dsession *s)
{
	return s->work == DWORK_COMMIT || s->work == DWORK_REPLY;
}

/* The last reply of a session that did not ask for it. */
static void
close_with(struct dsession *s, const char *enhanced, const char *text, const char *how)
{
	if (s->io.how || s->state == DSTATE_HANDSHAKE) {
		(void)dsession_end(s, how);
		return;
	}
	(void)dsession_end(s, how);
	(void)dsession_say(s, 421, enhanced, text);
	s->io.idle_since_ms = mono_ms(); /* it may take some time to hear it */
	s->state = DSTATE_CLOSING;
}

static void
take_notes(struct dsession *s, int64_t now_ms)
{
	unsigned note = slot_take_note(s->task.slot);

	if (note & NOTE_KICK)
		(void)dsession_end(s, "kicked");
	if (note & NOTE_DRAIN)
		s->draining = true;
	if (s->work != DWORK_NONE || s->io.how)
		return;
	if (s->draining && !s->mail.begun)
		close_with(s, "4.3.2", "the server is going down, try again soon", "shutdown");
	else if ((note & NOTE_PRESSURE) && !s->mail.begun)
		close_with(s, "4.3.2", "too many connections, try again later",
			   "pushed out: too many connections");
	else if (now_ms >= limit_ms(s))
		close_with(s, "4.4.2", "nothing came for too long, closing",
			   s->state == DSTATE_HANDSHAKE ? "TLS handshake timeout" : "idle timeout");
}

/* ---- commands -------------------------------------------------------------------------------- */

static enum move
take_line(struct dsession *s, size_t n)
{
	char line[DSESSION_IN];
	struct dcommand c;

	stream_take(&s->io, line, n);
	if (s->io.discarding) {
		s->io.discarding = false;
		return dsession_fault(s, 500, "5.5.2", "line too long");
	}
	switch (dparse_line(line, n, &c)) {
	case DPARSE_COMMAND:
		return command_run(s, &c);
	case DPARSE_TOO_LONG:
		return dsession_fault(s, 500, "5.5.2", "line too long");
	case DPARSE_NUL:
		return dsession_fault(s, 500, "5.5.2", "a NUL is not possible in a command");
	default:
		return dsession_fault(s, 500, "5.5.2",
				      "a control character is not possible in a command");
	}
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* 220 to STARTTLS is sent: from here on only TLS is understood, and what was said in clear is
 * forgotten (RFC 3207 section 4.2). */
static enum move
begin_tls(struct dsession *s)
{
	s->starttls = false;
	stream_forget(&s->io);
	dsession_forget(s);
	s->helo = NULL;
	s->state = DSTATE_HANDSHAKE;
	s->begun_ms = mono_ms(); /* of the handshake's 30 s */
	return conn_tls(&s->io.conn, s->conf->tls) ? MOVE_ON : dsession_end(s, "out of memory");
}

static enum move
handshake(struct dsession *s)
{
	enum move m = stream_handshake(&s->io);

	if (m != MOVE_ON) {
		stat_add(STAT_TLS_FAILED, m == MOVE_END);
		return m == MOVE_END ? MOVE_ON : m;
	}
	stat_add(STAT_TLS_HANDSHAKE, 1);
	s->state = DSTATE_COMMAND;
	if (s->listener->tls == CONF_TLS_IMPLICIT)
		dsession_greet(s);
	dsession_publish(s);
	return MOVE_ON;
}

/* ---- the end --------------------------------------------------------------------------------- */

static enum move
finish(struct dsession *s)
{
	if (!s->io.left) {
		if (s->state != DSTATE_HANDSHAKE)
			(void)stream_flush(
				&s->io); /* replies to what was stored, if anybody listens */
		dsession_log_end(s);
		stream_leave(
			&s->io); /* the socket goes now, what a store holds when it takes it back */
	}
	return envelope_has_handles(&s->mail) ? store_abort(s) : MOVE_END;
}

/* ---- one turn -------------------------------------------------------------------------------- */

static enum move
run_work(struct dsession *s)
{
	if (s->work == DWORK_LOOKUP || s->work == DWORK_DOMAIN || s->work == DWORK_ROOM)
		return rcpt_work(s);
	return store_work(s);
}

static enum move
turn(struct dsession *s)
{
	size_t n;
	enum move m;

	if (s->io.how && s->state != DSTATE_CLOSING && !unstoppable(s) && s->work != DWORK_ABORT)
		return finish(s);
	if (s->work != DWORK_NONE)
		return run_work(s);
	if (s->draining && !s->mail.begun && !s->io.how)
		close_with(s, "4.3.2", "the server is going down, try again soon", "shutdown");
	if (s->state == DSTATE_HANDSHAKE)
		return handshake(s);
	if (s->state == DSTATE_CLOSING) {
		m = stream_closing(&s->io, limit_ms(s));
		return m == MOVE_END ? finish(s) : m;
	}
	if (s->state != DSTATE_COMMAND)
		return intake_more(s);
	if (!s->starttls && ring_used(&s->io.out) < DSESSION_OUT_LOW && stream_has_line(&s->io, &n))
		return take_line(s, n);
	m = stream_flush(&s->io);
	if (m != MOVE_ON || s->io.how)
		return s->io.how ? MOVE_ON : m;
	if (s->starttls)
		return begin_tls(s);
	if (stream_has_line(&s->io, &n))
		return MOVE_ON; /* output was in the way */
	m = stream_read(&s->io);
	return m == MOVE_END ? MOVE_ON : m;
}

enum next
dsession_step(struct task *t)
{
	struct dsession *s = (struct dsession *)t;
	enum move m;

	stream_turn(&s->io);
	take_notes(s, mono_ms());
	for (;;) {
		m = turn(s);
		t->verdict = VERDICT_NONE; /* a permit is good for one call of a handler */
		switch (m) {
		case MOVE_ON:
		case MOVE_TIMER: /* delivery waits for nothing by the clock */
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
		case MOVE_END:
			return NEXT_DONE;
		}
	}
}
