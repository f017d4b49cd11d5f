/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "net/door.h"
#include "work/slot.h"

/* The limits of one turn. Octets bound the eager client; rounds, of which each is a read, a line or
 * a piece of a reply, the one that sends an octet at a time; the clock bounds everything else. */
#define TURN_OCTETS (256u << 10)
#define TURN_ROUNDS 256u
#define TURN_MS 50

static _Atomic uint64_t next_id = 1; /* of sessions of any protocol: restantectl kick names them */

void
stream_init(struct stream *st, struct task *t, int fd, size_t in, size_t out)
{
	*st = (struct stream){.task = t, .parked = true, .idle_since_ms = mono_ms()};
	t->id = atomic_fetch_add(&next_id, 1);
	conn_init(&st->conn, fd);
	ring_init(&st->in, in);
	ring_init(&st->out, out);
}

void
stream_fini(struct stream *st)
{
	ring_fini(&st->in);
	ring_fini(&st->out);
}

enum turn
stream_end(struct stream *st, const char *how)
{
	if (!st->how)
		st->how = how;
	return TURN_END;
}

bool
stream_ended(const struct stream *st)
{
	return st->how != NULL;
}

/* ---- turns ----------------------------------------------------------------------------------- */

void
stream_turn(struct stream *st, int64_t now_ms)
{
	struct task *t = st->task;

	if (t->pops != st->turn_pops) {
		st->turn_pops = t->pops;
		st->turn_rounds = 0;
		st->turn_octets = 0;
		st->turn_until_ms = now_ms + TURN_MS;
	}
	if (!st->parked && t->waiting_since_ms == 0)
		return;
	st->read_done = false;
	st->parked = false;
	t->waiting_since_ms = 0;
}

enum next
stream_park(struct stream *st, int want, int64_t deadline_ms)
{
	st->parked = true;
	slot_set_deadline(st->task->slot, deadline_ms);
	if (conn_arm(&st->conn, st->task->slot, want))
		return NEXT_PARK;
	/* the kernel cannot watch it any more: give back what is held */
	(void)stream_end(st, "connection lost");
	slot_set_deadline(st->task->slot, 0);
	return NEXT_AGAIN;
}

bool
stream_sated(struct stream *st, int64_t now_ms)
{
	if (++st->turn_rounds < TURN_ROUNDS && st->turn_octets < TURN_OCTETS &&
	    now_ms < st->turn_until_ms)
		return false;
	st->parked = true; /* what follows is a turn of its own */
	return true;
}

bool
stream_first(struct stream *st)
{
	size_t n;
	const void *p = ring_data(&st->out, &n);
	ssize_t sent = n > 0 ? conn_write(&st->conn, p, n) : 0;

	if (sent > 0)
		ring_consume(&st->out, (size_t)sent, false);
	ring_rest(&st->out);
	return conn_arm(&st->conn, st->task->slot,
			ring_used(&st->out) > 0 ? CONN_WANT_WRITE : CONN_WANT_READ);
}

/* ---- out ------------------------------------------------------------------------------------- */

void
stream_put(struct stream *st, const char *p, size_t n)
{
	if (!ring_put(&st->out, p, n))
		(void)stream_end(st, "out of memory");
}

enum turn
stream_flush(struct stream *st)
{
	while (ring_used(&st->out) > 0) {
		size_t n;
		const void *p = ring_data(&st->out, &n);
		ssize_t sent = conn_write(&st->conn, p, n);

		if (sent > 0) {
			ring_consume(&st->out, (size_t)sent, false);
			st->turn_octets += (uint64_t)sent;
			st->idle_since_ms = mono_ms(); /* the client reads: it is not idle */
			continue;
		}
		if (sent == CONN_WANT_WRITE)
			return TURN_WRITE;
		if (sent == CONN_WANT_READ)
			return TURN_READ;
		return stream_end(st, "connection lost");
	}
	ring_rest(&st->out);
	return TURN_ON;
}

/* ---- in -------------------------------------------------------------------------------------- */

enum turn
stream_read(struct stream *st)
{
	size_t room;
	void *space;
	ssize_t n;

	/* after a short read the socket is empty, and an edge will announce more */
	if (st->read_done && st->conn.short_read && !(slot_peek_note(st->task->slot) & NOTE_HUP)) {
		ring_rest(&st->in);
		return TURN_READ;
	}
	space = ring_space(&st->in, &room);
	if (!space)
		return stream_end(st, "out of memory");
	n = conn_read(&st->conn, space, room);
	st->read_done = true;
	if (n > 0) {
		ring_commit(&st->in, (size_t)n);
		st->turn_octets += (uint64_t)n;
		st->idle_since_ms = mono_ms();
		return TURN_ON;
	}
	ring_rest(&st->in);
	if (n == CONN_WANT_READ)
		return TURN_READ;
	if (n == CONN_WANT_WRITE)
		return TURN_WRITE;
	return stream_end(st, n == CONN_EOF               ? "disconnected"
			      : conn_is_barren(&st->conn) ? "TLS records without data"
							  : "connection lost");
}

bool
stream_has_line(struct stream *st, size_t *ret_n)
{
	size_t used = ring_used(&st->in);
	long at = used > st->scanned ? ring_find(&st->in, st->scanned, '\n') : -1;

	if (at >= 0) {
		*ret_n = (size_t)at + 1;
		return true;
	}
	st->scanned = used;
	if (ring_room(&st->in) == 0) {
		st->discarding = true; /* no line may be as long as the ring */
		ring_consume(&st->in, used, true);
		st->scanned = 0;
	}
	return false;
}

void
stream_take(struct stream *st, size_t n, bool secret)
{
	if (n == 0)
		return;
	ring_consume(&st->in, n, secret);
	st->scanned = 0;
}

void
stream_forget(struct stream *st)
{
	ring_fini(&st->in);
	st->scanned = 0;
	st->discarding = false;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

enum turn
stream_handshake(struct stream *st)
{
	int rc = conn_handshake(&st->conn);

	st->read_done = true;
	if (rc == CONN_WANT_READ)
		return TURN_READ;
	if (rc == CONN_WANT_WRITE)
		return TURN_WRITE;
	if (rc != 1)
		return stream_end(st, "TLS handshake failed");
	st->read_done = false;
	return TURN_ON;
}

/* ---- the end --------------------------------------------------------------------------------- */

enum turn
stream_closing(struct stream *st, int64_t deadline_ms)
{
	char rest[512];
	ssize_t n;
	enum turn m;

	if (mono_ms() >= deadline_ms)
		return TURN_END;
	m = stream_flush(st);
	if (m != TURN_ON)
		return m;
	if (!st->shut) {
		conn_shutdown(&st->conn);
		st->shut = true;
		st->idle_since_ms = mono_ms();
		if (ring_used(&st->in) == 0 && st->read_done && st->conn.short_read)
			return TURN_END; /* nothing unread: closing sends no reset */
		ring_fini(&st->in);
	}
	st->read_done = true;
	while ((n = conn_read(&st->conn, rest, sizeof(rest))) > 0) {
		st->turn_octets += (uint64_t)n;
		if (stream_sated(st, mono_ms()))
			return TURN_YIELD;
	}
	return n == CONN_WANT_READ ? TURN_READ : TURN_END;
}

void
stream_leave(struct stream *st)
{
	if (st->left)
		return;
	st->left = true;
	conn_close(&st->conn);
	door_leave(st->task->peer_key);
}
