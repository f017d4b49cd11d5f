/* SPDX-License-Identifier: Apache-2.0 */
#include "session/talk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/stats.h"

#define HANDSHAKE_MS 30000
#define DRAIN_MS 2000 /* the client has this long to close after our last reply */
#define IN_MAX 16384  /* the largest ring for input */

/* ---- birth ----------------------------------------------------------------------------------- */

void
talk_init(struct talk *k, const struct protocol *p, struct stream *io, struct tls *tls,
	  bool implicit_tls, int64_t idle_ms)
{
	assert(io->in.cap <= IN_MAX);
	*k = (struct talk){.protocol = p,
			   .task = io->task,
			   .io = io,
			   .tls = tls,
			   .phase = implicit_tls ? TALK_TLS : TALK_OPEN,
			   .begun_ms = io->idle_since_ms,
			   .handshake_ms = io->idle_since_ms,
			   .idle_ms = idle_ms};
}

static void
talk_greet(struct talk *k)
{
	k->greeted = true;
	k->protocol->greet(k->task);
}

static int64_t
limit_ms(const struct talk *k)
{
	int64_t at_ms = k->handshake_ms + HANDSHAKE_MS;

	if (k->phase == TALK_CLOSING || (k->phase == TALK_OPEN && k->login_by_ms == 0))
		return k->io->idle_since_ms + (k->io->shut ? DRAIN_MS : k->idle_ms);
	if (k->phase == TALK_OPEN || (k->login_by_ms != 0 && k->login_by_ms < at_ms))
		return k->login_by_ms;
	return at_ms;
}

bool
talk_start(struct talk *k)
{
	struct task *t = k->task;

	t->slot = slot_take(t);
	if (!t->slot)
		return false;
	talk_publish(k);
	slot_set_deadline(t->slot, limit_ms(k));
	if (k->phase == TALK_OPEN)
		talk_greet(k);
	if ((k->phase == TALK_OPEN || conn_tls(&k->io->conn, k->tls)) && stream_first(k->io))
		return true;
	slot_retire(t->slot);
	k->io->conn.fd = -1; /* the acceptor closes it */
	conn_close(&k->io->conn);
	slot_release(t->slot);
	return false;
}

void
talk_publish(struct talk *k)
{
	const struct task *t = k->task;
	const struct conn *c = &k->io->conn;
	struct slot_record r = {.tls = !conn_tls_version(c) ? 0
				       : conn_is_tls13(c)   ? 13
							    : 12,
				.id = t->id,
				.peer_key = t->peer_key,
				.since_ms = k->begun_ms,
				.last_byte_ms = k->io->idle_since_ms,
				.octets_in = c->octets_in,
				.octets_out = c->octets_out};

	k->protocol->describe(t, &r);
	if (k->phase != TALK_OPEN)
		snprintf(r.state, sizeof(r.state), "%s", k->phase == TALK_TLS ? "tls" : "closing");
	slot_publish(t->slot, &r);
}

enum turn
talk_close(struct talk *k, const char *how)
{
	(void)stream_end(k->io, how);
	k->phase = TALK_CLOSING;
	return TURN_ON;
}

void
talk_hang_up(struct talk *k)
{
	if (k->phase != TALK_TLS && !k->io->left)
		(void)stream_flush(k->io);
	stream_leave(k->io);
}

void
talk_leave(struct talk *k)
{
	stat_add(STAT_NET_IN, k->io->conn.octets_in);
	stat_add(STAT_NET_OUT, k->io->conn.octets_out);
	stream_leave(k->io);
}

/* This much time passed that is not the client's fault. */
static void
talk_excuse(struct talk *k, int64_t ms)
{
	k->io->idle_since_ms += ms;
	if (k->login_by_ms != 0)
		k->login_by_ms += ms;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* The reply "begin TLS" was sent: from now on only TLS is understood, and everything received in
 * clear is forgotten (RFC 2595 section 4, RFC 3207 section 4.2). */
static enum turn
begin_tls(struct talk *k)
{
	k->starttls = false;
	stream_forget(k->io);
	k->protocol->forget(k->task);
	k->phase = TALK_TLS;
	k->handshake_ms = mono_ms();
	if (!conn_tls(&k->io->conn, k->tls))
		(void)stream_end(k->io, "out of memory");
	return TURN_ON;
}

static enum turn
talk_handshake(struct talk *k)
{
	enum turn m = stream_handshake(k->io);

	if (m != TURN_ON) {
		stat_add(STAT_TLS_FAILED, m == TURN_END);
		return m == TURN_END ? TURN_ON : m;
	}
	stat_add(conn_is_tls13(&k->io->conn) ? STAT_TLS13 : STAT_TLS12, 1);
	k->phase = TALK_OPEN;
	if (!k->greeted)
		talk_greet(k);
	talk_publish(k);
	return TURN_ON;
}

/* ---- one turn -------------------------------------------------------------------------------- */

static void
take_notes(struct talk *k, int64_t now_ms)
{
	struct task *t = k->task;
	unsigned note = slot_take_note(t->slot);

	if (note & NOTE_KICK)
		(void)stream_end(k->io, "kicked");
	if (note & NOTE_WAKE)
		k->resume_ms = now_ms;
	k->protocol->notes(t, note, now_ms);
	if (t->verdict == VERDICT_NONE && now_ms >= limit_ms(k))
		k->protocol->late(t, k->phase == TALK_TLS  ? "TLS handshake timeout"
				     : k->login_by_ms != 0 ? "login timeout"
							   : "idle timeout");
}

static enum turn
talk_closing(struct talk *k)
{
	enum turn m = stream_closing(k->io, limit_ms(k));

	return m == TURN_END ? k->protocol->finish(k->task) : m;
}

/* All input is used up: sends the replies, then reads more. */
static enum turn
talk_exchange(struct talk *k)
{
	enum turn m = stream_flush(k->io);

	if (m != TURN_ON)
		return m;
	return k->starttls ? begin_tls(k) : stream_read(k->io);
}

static bool
has_room(const struct stream *io)
{
	return ring_used(&io->out) <= ring_room(&io->out);
}

static enum turn
talk_work(struct talk *k)
{
	struct stream *io = k->io;

	if (k->protocol->prompt && k->task->verdict == VERDICT_NONE && !stream_ended(io) &&
	    stream_flush(io) == TURN_END)
		return TURN_ON; /* promised work goes on in the next round */
	return k->protocol->work(k->task);
}

static enum turn
talk_produce(struct talk *k)
{
	/* with a permit, or a refusal, it runs at once: others wait for the permit */
	if (k->task->verdict == VERDICT_NONE && !has_room(k->io)) {
		enum turn m = stream_flush(k->io);

		if (m == TURN_END || !has_room(k->io))
			return m;
	}
	return k->protocol->produce(k->task);
}

static enum turn
talk_feed(struct talk *k)
{
	struct stream *io = k->io;
	size_t n, used = 0;
	const char *p = ring_data(&io->in, &n);
	enum turn m = k->protocol->feed(k->task, p, n, &used);

	stream_take(io, used, false);
	if (m != TURN_READ)
		return m;
	return ring_used(&io->in) > 0 ? TURN_ON : talk_exchange(k);
}

/* A line that wraps around the end of the ring. */
static enum turn
line_in_two(struct talk *k, size_t n)
{
	char line[IN_MAX];
	enum turn m;

	(void)ring_peek(&k->io->in, 0, line, n);
	m = k->protocol->line(k->task, line, n);
	secret_wipe(line, n);
	return m;
}

static enum turn
talk_line(struct talk *k, size_t n)
{
	struct stream *io = k->io;
	size_t piece;
	const char *line = ring_data(&io->in, &piece);
	enum turn m;

	if (io->discarding)
		m = k->protocol->line(k->task, NULL, 0);
	else
		m = n <= piece ? k->protocol->line(k->task, line, n) : line_in_two(k, n);
	io->discarding = false;
	stream_take(io, n, true); /* it may have held a password */
	return m;
}

static enum turn
talk_command(struct talk *k)
{
	size_t n;

	if (k->starttls || !stream_has_line(k->io, &n))
		return talk_exchange(k);
	return has_room(k->io) ? talk_line(k, n) : stream_flush(k->io);
}

static enum turn
talk_do(struct talk *k, enum talk_duty duty)
{
	switch (duty) {
	case TALK_LINE:
		return talk_command(k);
	case TALK_FEED:
		return talk_feed(k);
	case TALK_PRODUCE:
		return talk_produce(k);
	default:
		return talk_work(k);
	}
}

/* TURN_END: nothing is left to do, and nothing is held. */
static enum turn
talk_turn(struct talk *k)
{
	enum talk_duty duty = k->protocol->duty(k->task);
	enum turn m;

	if (duty != TALK_BOUND) {
		if (stream_ended(k->io) && k->phase != TALK_CLOSING)
			return k->protocol->finish(k->task);
		if (k->phase == TALK_TLS)
			return talk_handshake(k);
		if (k->phase == TALK_CLOSING)
			return talk_closing(k);
	}
	m = talk_do(k, duty);
	return m == TURN_END ? TURN_ON : m; /* the session has ended: `finish` is next */
}

enum next
talk_step(struct talk *k)
{
	struct task *t = k->task;
	int64_t now_ms = mono_ms();
	enum turn m;

	if (k->asked_ms != 0)
		talk_excuse(k, now_ms - k->asked_ms); /* it waited at a gate */
	k->asked_ms = 0;
	stream_turn(k->io, now_ms);
	take_notes(k, now_ms);
	for (;;) {
		m = talk_turn(k);
		t->verdict = VERDICT_NONE; /* a permit is good for one call of a handler */
		switch (m) {
		case TURN_ON:
			if (t->held)
				return NEXT_MORE; /* the permit goes back before anything is sent */
			now_ms = mono_ms();
			if (stream_sated(k->io, now_ms))
				return NEXT_AGAIN;
			/* a client that never lets us wait can be kicked or late all the same */
			if (slot_peek_note(t->slot) != 0 || now_ms >= limit_ms(k))
				take_notes(k, now_ms);
			continue;
		case TURN_PERMIT:
			k->asked_ms = mono_ms();
			return NEXT_AGAIN;
		case TURN_YIELD:
			return NEXT_AGAIN;
		case TURN_READ:
			return stream_park(k->io, CONN_WANT_READ, limit_ms(k));
		case TURN_WRITE:
			return stream_park(k->io, CONN_WANT_WRITE, limit_ms(k));
		case TURN_TIMER:
			(void)stream_flush(k->io); /* what is not sent now is sent later */
			return stream_park(k->io, CONN_WANT_READ, k->resume_ms);
		case TURN_END:
			return NEXT_DONE;
		}
	}
}
