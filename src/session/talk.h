/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk - the one loop of a session, whatever it speaks. A turn is: notes and the clock, then -
 * until something must be waited for, or its share is used up - the protocol's duty (the work that
 * was begun, a piece of a long reply, the octets or the line that came), the flush, the next read,
 * and notes and the clock again. Handlers return what they want next (enum turn); only this loop
 * parks, yields, arms, flushes, reads and shakes hands for TLS.
 *
 * What differs from protocol to protocol is a table of functions. Each is given the task that is
 * the first member of the protocol's session.
 *
 * Threads: the session's owner.
 */
#ifndef RST_SESSION_TALK_H
#define RST_SESSION_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"
#include "net/tls.h"
#include "work/slot.h"
#include "work/task.h"

struct conf;

enum talk_phase {
	TALK_TLS,     /* handshake, at once or after STLS or STARTTLS */
	TALK_OPEN,    /* the protocol's */
	TALK_CLOSING, /* the last reply is on its way */
};

/* What a session does next. */
enum talk_duty {
	TALK_LINE,    /* nothing: it wants the next line */
	TALK_FEED,    /* it wants octets: a message is coming in */
	TALK_PRODUCE, /* it has a long reply to send */
	TALK_WORK,    /* what was begun goes on, unless the session has ended */
	TALK_BOUND,   /* what was begun goes on, whatever happens to the client: it was promised */
};

struct protocol {
	size_t size;    /* of its session, which begins with a struct session (session/session.h) */
	size_t in, out; /* capacities of the rings */
	/* So long its client may be silent. */
	int64_t (*idle_ms)(const struct conf *c);
	void (*greet)(struct task *t); /* puts the first line */
	/* Its part of the public record: peer, kind, state (while it is OPEN), counts. */
	void (*describe)(const struct task *t, struct slot_record *r);
	/* What was noted since the last turn (NOTE_...); a kick has ended the session already. */
	void (*notes)(struct task *t, unsigned note, int64_t now_ms);
	/* The time is over; `how` says which. Ends the session, or closes it with a last word. */
	void (*late)(struct task *t, const char *how);
	enum talk_duty (*duty)(const struct task *t);
	/* What is ready for the client is sent before `work` is called: it may take long. */
	bool prompt;
	enum turn (*work)(struct task *t);
	/* The next piece of a reply. It is called while at least half of `out` is free, or with the
	 * permit it asked for; TURN_ON: it needs more room, or is done. */
	enum turn (*produce)(struct task *t);
	/* n octets came; n may be 0. *ret_used of them were taken. TURN_READ: all of them, and more
	 * are needed; with any other turn the duty may have changed. */
	enum turn (*feed)(struct task *t, const char *p, size_t n, size_t *ret_used);
	/* A line of n octets, with its LF. It is wiped when this returns. NULL: it was as long as
	 * the ring, and thrown away. */
	enum turn (*line)(struct task *t, const char *line, size_t n);
	/* TLS begins: what was learnt in clear is forgotten */
	void (*forget)(struct task *t);
	/* It has ended. Logs it, once; what is held goes back. TURN_END: nothing is any more. */
	enum turn (*finish)(struct task *t);
	/* The last call: what it has in memory is freed. */
	void (*drop)(struct task *t);
};

struct talk {
	const struct protocol *protocol;
	struct task *task;
	struct stream *io;
	struct tls *tls; /* the configuration's; NULL: none */
	uint8_t phase;   /* enum talk_phase */
	bool greeted;
	bool starttls; /* "begin TLS" is being flushed, then the handshake */
	int64_t begun_ms;
	int64_t handshake_ms; /* it began */
	int64_t idle_ms;      /* so long a client may be silent */
	int64_t login_by_ms;  /* by then it must have logged in, silent or not; 0: no such limit */
	int64_t asked_ms;     /* for a permit; 0: none is wanted */
	int64_t resume_ms;    /* TURN_TIMER: the next turn; NOTE_WAKE brings it forward */
};

void talk_init(struct talk *k, const struct protocol *p, struct stream *io, struct tls *tls,
	       bool implicit_tls, int64_t idle_ms);
/* For session_new (net/listener.h): takes the slot, publishes, greets - a fresh socket takes it at
 * once - and arms. False: refused, no slot or no memory; the descriptor is the acceptor's. */
bool talk_start(struct talk *k);
/* task.step */
enum next talk_step(struct talk *k);
/* The session ends when the client has our last reply; the first reason counts. */
enum turn talk_close(struct talk *k, const char *how);
/* For `finish`: the socket goes now, what is held when it is taken back. What is ready is sent if
 * the socket takes it at once: the client should hear of what was stored or deleted. */
void talk_hang_up(struct talk *k);
/* task.close: the socket goes, if it is still there; its octets are counted. */
void talk_leave(struct talk *k);
/* The public record is written anew. */
void talk_publish(struct talk *k);

#endif
