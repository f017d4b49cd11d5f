/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot - the fixed table of tasks, with the one word that tells the owner of each.
 *
 *   where     owner              leaves when
 *   FREE      the free list      slot_take                    -> RUNNING
 *   PARKED    nobody             edge, deadline, kick, note   -> QUEUED
 *   QUEUED    run queue          a worker pops it             -> RUNNING
 *   RUNNING   that thread        step() returned              -> PARKED QUEUED GATED FREE
 *   HIT       that thread        as RUNNING; an event came meanwhile: one more turn
 *   GATED     the gate           permit free, wait over, kick -> QUEUED with a verdict
 *
 * Everybody but the owner holds a token (slot and generation), never a pointer. A claim carries no
 * reason: the event is in the note, set before claiming; the turn itself looks.
 * doc/internals/engine.md has the essay and the interleavings.
 */
#ifndef RST_WORK_SLOT_H
#define RST_WORK_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "work/task.h"

/* generation << 32 | slot number; 0 is never a token. */
typedef uint64_t slot_token;

/* Bits of a note. */
#define NOTE_HUP 1u       /* the peer closed its side, or the socket failed */
#define NOTE_KICK 2u      /* restantectl kick */
#define NOTE_DRAIN 4u     /* the server is going down */
#define NOTE_TAKEOVER 8u  /* another session asks for the maildrop: decide again */
#define NOTE_PRESSURE 16u /* the table is nearly full: leave if not logged in */
#define NOTE_WAKE 32u     /* the event you waited for has happened (registry, errand) */

/* The public view of a task; written by its owner, read by anybody. */
struct slot_record {
	char peer[48];  /* address:port */
	char user[64];  /* cut; "" before login */
	char state[12]; /* "auth" "trans" "update" "errand" ... */
	char kind[8];   /* "pop3", "errand" */
	uint8_t tls;    /* 0, or 12, 13 */
	uint8_t logged_in;
	uint8_t holds_credential; /* USER given: not a victim of pressure */
	uint64_t id;
	uint64_t peer_key;
	int64_t since_ms;     /* mono */
	int64_t last_byte_ms; /* mono: the client's last input */
	uint64_t octets_in, octets_out;
	uint32_t messages; /* in the maildrop */
	uint32_t pending_dele;
};

/* n slots; false: no memory. Once per process (tests: after slot_fini). */
bool slot_init(size_t n);
void slot_fini(void);
size_t slot_count(void);

/* A free slot, RUNNING, owned by the caller; NULL: none left. The caller sets slot's task. */
struct slot *slot_take(struct task *t);
/* By the owner: generation + 1 and FREE, so that no token matches; then close(fd); then release. */
void slot_retire(struct slot *s);
void slot_release(struct slot *s);

slot_token slot_get_token(const struct slot *s);
struct task *slot_task(const struct slot *s);

/* Owner: the bits noted since the last call, cleared; but NOTE_HUP stays for good: a connection
 * that was closed by its peer does not come back, and conn_arm must know. */
unsigned slot_take_note(struct slot *s);
/* Owner: look without clearing. */
unsigned slot_peek_note(const struct slot *s);

/* Owner: when the task wants a turn, mono ms; INT64_MAX = never. */
void slot_set_deadline(struct slot *s, int64_t at_ms);

/* Owner: publish; cheap enough for once a command. */
void slot_publish(struct slot *s, const struct slot_record *r);
/* Anybody: the record of slot number i; false: free. *ret_where: 'P' 'Q' 'R' 'G'. */
bool slot_read(size_t i, struct slot_record *ret, slot_token *ret_token, char *ret_where);

/* Anybody: set note bits, then claim; the run queue gets the task if it was parked. False: gone. */
bool slot_wake(slot_token t, unsigned note);

/* ---- for work/ and net/ only ----------------------------------------------------------------- */

/* Claim: true when the caller now owns it QUEUED and must push it. */
bool slot_claim(slot_token t, struct task **ret_task);
/* Owner: RUNNING -> PARKED; false: HIT, take another turn. The task is not the caller's after
 * true. */
bool slot_park(struct slot *s);
void slot_set_queued(struct slot *s);  /* owner: before queue_push or when the gate lets it go */
void slot_set_running(struct slot *s); /* worker: after queue_pop */
void slot_set_gated(struct slot *s);   /* owner: under the gate's mutex, before it is linked */
/* Acceptor: claims all whose deadline has passed; hands each to push(). */
void slot_scan_deadlines(int64_t now_ms, void (*push)(struct task *t, void *ctx), void *ctx);
void slot_add_note(slot_token t, unsigned note);

#endif
