/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsession - one client that delivers mail, by LMTP or SMTP, from accept to the end of its
 * connection, and on until no store holds anything half done for it; and what all parts of delivery
 * use: replies and log lines. Owned by its slot's owner; no field has a lock.
 *
 * The files: dstep.c makes the session and serves the one loop (session/talk.h); dcmd.c has the
 * commands, xclient.c XCLIENT; rcpt.c asks the auth chain about recipients, room.c about volumes
 * and quotas; intake.c receives DATA and BDAT; store.c gives the message to the stores,
 * to_badmail.c to Badmail; answer.c replies with the outcome; trace.c writes the header lines we
 * add. doc/internals/sessions.md has a drawing of the states.
 */
#ifndef RST_SMTP_DSESSION_H
#define RST_SMTP_DSESSION_H

#include <restante/module.h>

#include "module/caller.h"
#include "net/peer.h"
#include "session/session.h"
#include "smtp/dparse.h"
#include "smtp/dreply.h"
#include "smtp/envelope.h"

#define DSESSION_IN 16384
#define DSESSION_OUT 8192

enum dsession_state {
	DSTATE_COMMAND,
	DSTATE_DATA, /* until CRLF.CRLF */
	DSTATE_BDAT, /* until bdat_left is 0 */
};

/* The work in progress. */
enum dsession_work {
	DWORK_NONE,
	DWORK_LOOKUP,      /* RCPT: the auth chain is asked about a name */
	DWORK_ROOM,        /* RCPT: is there room in the mailbox? */
	DWORK_TO_BADMAIL,  /* the chunk goes to Badmail first */
	DWORK_KEEP_COMMIT, /* items of Badmail are made */
	DWORK_WRITE,       /* each dest gets the chunk */
	DWORK_PREPARE,     /* each dest makes the message durable */
	DWORK_COMMIT,      /* and visible */
	DWORK_ABORT,       /* handles go back */
	DWORK_REPLY,       /* one for each recipient */
};

struct lookup;

struct dsession {
	/* first; its peer is the client, or whom the client speaks for by XCLIENT */
	struct session base;
	struct caller caller; /* its arena is the envelope's */
	bool counted;         /* it counts towards the max_sessions of delivery */
	uint8_t state, work;  /* enum dsession_state, dsession_work */
	bool esmtp;           /* it came with EHLO or LHLO */
	bool draining;        /* the server goes down: 421 after this message */
	bool failed;          /* this BDAT chunk is thrown away, and 503 follows */
	bool bdat, bdat_last; /* the message comes by BDAT */
	uint64_t bdat_left, bdat_octets;
	uint32_t errors;
	struct peer connected; /* the client itself, whomever it speaks for */
	char *helo;            /* in the arena; NULL: no LHLO, EHLO or HELO yet */
	struct lookup *lookup; /* rcpt.h: RCPT in progress; in the heap */
	struct envelope mail;
	size_t next_reply; /* DWORK_REPLY */
	uint64_t n_mails, accepted, refused, octets;
};

/* ---- for the loop (session/talk.h) ----------------------------------------------------------- */

void dsession_greet(struct task *t);
void dsession_describe(const struct task *t, struct slot_record *r);
/* Forgets the mail, and what the client has told about itself. */
void dsession_clear(struct task *t);

/* ---- what it speaks -------------------------------------------------------------------------- */

bool dsession_is_lmtp(const struct dsession *s);
/* For logs and Received. */
const char *dsession_protocol(const struct dsession *s);

/* ---- the log --------------------------------------------------------------------------------- */

void dsession_log_end(struct dsession *s);
/* One line for recipient i of a message: from whom, to whom, how large, and the outcome. */
void dsession_log_mail(struct dsession *s, size_t i, const struct dreply *r);

/* ---- replies --------------------------------------------------------------------------------- */

enum turn dsession_say(struct dsession *s, unsigned code, const char *enhanced, const char *text);
enum turn dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom);
/* The reply to a mistake of the client; too many of them end the session. */
enum turn dsession_fault(struct dsession *s, unsigned code, const char *enhanced, const char *text);

/* ---- ends ------------------------------------------------------------------------------------ */

/* Forgets the mail; no handle may be open. */
void dsession_forget(struct dsession *s);
void dsession_drop_lookup(struct dsession *s);
/* Closes a session that did not ask for it, with a last reply, 421. */
void dsession_close(struct dsession *s, const char *enhanced, const char *text, const char *how);
/* That, between two messages, if the server is going down. */
void dsession_drain(struct dsession *s);

#endif
