/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - the byte side of a session, whatever its protocol: a connection, a ring of input and a
 * ring of output, the lines in between, and the last words. A session holds one; its step decides
 * what to do, and these functions return the outcome as the next move.
 *
 * Threads: the session's owner.
 */
#ifndef RST_NET_STREAM_H
#define RST_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ring.h"
#include "net/conn.h"
#include "work/task.h"

/* The next move of a session's loop after a handler. */
enum turn {
	TURN_ON,     /* go on with the same session: next command, or the work that was set */
	TURN_PERMIT, /* task.need is set */
	TURN_YIELD,  /* after the others in the queue */
	TURN_READ,   /* park for input */
	TURN_WRITE,  /* park until the client reads */
	TURN_TIMER,  /* park until the session's own time (input is left alone) */
	TURN_END,    /* over */
};

struct stream {
	struct task *task; /* its session's */
	struct conn conn;
	struct ring in, out;
	size_t scanned;        /* bytes of `in` known to hold no LF */
	bool discarding;       /* an over-long line is being skipped */
	bool left;             /* the socket is closed and uncounted */
	bool parked;           /* the last turn parked, or gave way: this one reads again */
	bool read_done;        /* this turn has read from the socket */
	bool shut;             /* closing: our side is shut down, the client's is awaited */
	int64_t idle_since_ms; /* last progress of the client */
	uint32_t turn_pops;    /* the task's `pops` when the turn began */
	uint32_t turn_rounds;  /* of the session's loop, in this turn */
	uint64_t turn_octets;  /* moved in this turn */
	int64_t turn_until_ms; /* it may last until then */
	const char *how;       /* how it ended, for the log; whether it has: stream_ended */
};

/* in, out: capacities of the rings, powers of two. The task gets its id. */
void stream_init(struct stream *st, struct task *t, int fd, size_t in, size_t out);
/* Both rings wiped and given back; the socket is left alone. */
void stream_fini(struct stream *st);

/* Ends the session for this reason; the first one counts. Returns TURN_END. */
enum turn stream_end(struct stream *st, const char *how);
/* Was that called? Then the client is not listened to any more, and at most what is ready for it is
 * sent. */
bool stream_ended(const struct stream *st);

/* A turn begins: an edge that came while the session was parked or at a gate is spent, only a read
 * can tell. Its limits count from when the task came out of the run queue: a turn that follows at
 * once, because of an event meanwhile, goes on with what is left of them. */
void stream_turn(struct stream *st, int64_t now_ms);
/* Parks for want (CONN_WANT_...) until deadline_ms. */
enum next stream_park(struct stream *st, int want, int64_t deadline_ms);

/* For the acceptor: sends what is in `out` as far as a fresh socket takes it, and arms. */
bool stream_first(struct stream *st);

/* Appends to `out`. There must be room: commands are taken only while there is. Without memory the
 * session ends, since a client without a reply must not go on. */
void stream_put(struct stream *st, const char *p, size_t n);

/* Asked once a round. True: this turn has read, sent and done its share, and the tasks in the run
 * queue have theirs. */
bool stream_sated(struct stream *st, int64_t now_ms);

/* TURN_ON: all is sent; TURN_READ, TURN_WRITE: the socket wants that first; TURN_END. */
enum turn stream_flush(struct stream *st);
/* TURN_ON: something came; TURN_READ, TURN_WRITE: nothing yet; TURN_END: ended. */
enum turn stream_read(struct stream *st);
/* Is there a whole line? *ret_n octets with its LF. A line that fills the ring is dropped as it
 * comes, and `discarding` is set when its end is there. */
bool stream_has_line(struct stream *st, size_t *ret_n);
/* Drops the first n octets of `in`; secret: they are wiped. */
void stream_take(struct stream *st, size_t n, bool secret);
/* Drops all input: plaintext after STARTTLS. */
void stream_forget(struct stream *st);

/* TURN_ON: done; counted. */
enum turn stream_handshake(struct stream *st);

/* After the last reply a client that still sends is heard out, since a reset would destroy our
 * words; until deadline_ms. TURN_END: over; TURN_YIELD: it goes on sending. */
enum turn stream_closing(struct stream *st, int64_t deadline_ms);
/* Closes and uncounts the socket; the session may live on to give back what it holds. */
void stream_leave(struct stream *st);

#endif
