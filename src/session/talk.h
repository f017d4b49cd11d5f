/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk - the one loop of a session, whatever protocol it speaks. A turn begins with notes and the
 * clock. Then, until it has to wait or its share is used up, it does what the protocol's duty is
 * (work in progress, a piece of a long reply, the octets or the line that came), flushes, reads,
 * and looks at notes and the clock again. Handlers return what they want next (enum turn); only
 * this loop parks, yields, arms, flushes, reads and does the TLS handshake.
 *
 * A protocol is a table of functions. Each is given the task that is the first member of the
 * session.
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
	TALK_OPEN,    /* the protocol speaks */
	TALK_CLOSING, /* the last reply is on its way */
};

/* The next thing a session has to do. */
enum talk_duty {
	TALK_LINE,    /* nothing: it wants the next line */
	TALK_FEED,    /* it wants octets: a message is coming in */
	TALK_PRODUCE, /* it has a long reply to send */
	TALK_WORK,    /* work in progress continues, unless the session has ended */
	TALK_BOUND,   /* promised work continues, whatever happens to the client */
};

struct protocol {
	size_t size;    /* of its session, which begins with a struct session (session/session.h) */
	size_t in, out; /* capacities of the rings */
	/* How long its client may be silent. */
	int64_t (*idle_ms)(const struct conf *c);
	void (*greet)(struct task *t); /* writes the first line */
	/* Fills its part of the public record: peer, kind, state (while OPEN), counts. */
	void (*describe)(const struct task *t, struct slot_record *r);
	/* Given the notes since the last turn (NOTE_...); a kick has already ended the session. */
	void (*notes)(struct task *t, unsigned note, int64_t now_ms);
	/* A time limit has passed; `how` names it. Ends the session, or closes it with a last
	 * reply. */
	void (*late)(struct task *t, const char *how);
	enum talk_duty (*duty)(const struct task *t);
	/* Replies that are ready are sent before `work` is called, because it may take long. */
	bool prompt;
	enum turn (*work)(struct task *t);
	/* Writes the next piece of a reply. Called while at least half of `out` is free, or with
	 * the permit it asked for. TURN_ON: it needs more room, or is done. */
	enum turn (*produce)(struct task *t);
	/* Takes *ret_used of n octets that came; n may be 0. TURN_READ: it took all and needs
	 * more. After any other result the duty may be another. */
	enum turn (*feed)(struct task *t, const char *p, size_t n, size_t *ret_used);
	/* Takes a line of n octets, LF included, which is wiped afterwards. NULL: the line was as
	 * long as the ring, and is thrown away. */
	enum turn (*line)(struct task *t, const char *line, size_t n);
	/* TLS begins: forgets everything that was received in clear */
	void (*forget)(struct task *t);
	/* The session has ended. Logs that once, and gives back what is held. TURN_END: nothing is
	 * held any more. */
	enum turn (*finish)(struct task *t);
	/* The last call: frees its memory. */
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
	int64_t handshake_ms; /* when it began */
	int64_t idle_ms;      /* how long the client may be silent */
	/* the client must have logged in by then, silent or not; 0: no such limit */
	int64_t login_by_ms;
	int64_t asked_ms; /* when a permit was asked for; 0: none is wanted */
	/* when the next turn after TURN_TIMER is due; NOTE_WAKE brings it forward */
	int64_t resume_ms;
};

void talk_init(struct talk *k, const struct protocol *p, struct stream *io, struct tls *tls,
	       bool implicit_tls, int64_t idle_ms);
/* Takes a slot, publishes, greets (a fresh socket takes that at once), and arms. False: refused,
 * no slot or no memory; the acceptor keeps the descriptor. */
bool talk_start(struct talk *k);
/* task.step */
enum next talk_step(struct talk *k);
/* The session ends when the client has our last reply; the first reason counts. */
enum turn talk_close(struct talk *k, const char *how);
/* For `finish`: closes the socket now; what the session holds is given back later. Replies that
 * are ready are sent if the socket takes them at once: the client should learn what was stored or
 * deleted. */
void talk_hang_up(struct talk *k);
/* For task.close: closes the socket if it is still open, and counts its octets. */
void talk_leave(struct talk *k);
/* Writes the public record again. */
void talk_publish(struct talk *k);

#endif
