/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsession - one client that hands over mail, by LMTP or SMTP, from accept to the end of its
 * connection and until no store holds anything half done for it; and what all parts of it need:
 * replies, log lines. Owned by its slot's owner; no field has a lock.
 *
 * Who does what: dstep.c makes it, and is what delivery gives to the one loop (session/talk.h);
 * dcmd.c are the commands; xclient.c is XCLIENT; rcpt.c asks the auth chain about recipients,
 * room.c about volumes and quotas; intake.c takes in DATA and BDAT; store.c hands it to the stores,
 * to_badmail.c to Badmail; answer.c tells what became of it; trace.c writes the header lines we
 * add. doc/internals/sessions.md draws its states.
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

/* What the session is waiting to do. */
enum dsession_work {
	DWORK_NONE,
	DWORK_LOOKUP,      /* RCPT: chain entry `auth` is asked about `name` */
	DWORK_ROOM,        /* RCPT: is there room in the mailbox? */
	DWORK_TO_BADMAIL,  /* the chunk goes to Badmail first */
	DWORK_KEEP_COMMIT, /* items of Badmail are made */
	DWORK_WRITE,       /* the chunk goes to each dest */
	DWORK_PREPARE,     /* each dest makes it durable */
	DWORK_COMMIT,      /* and visible */
	DWORK_ABORT,       /* handles go back */
	DWORK_REPLY,       /* one for each recipient */
};

struct lookup;

struct dsession {
	struct session base; /* first; its peer is who is there, or for whom it speaks by XCLIENT */
	struct caller caller; /* memory of the envelope */
	bool counted;         /* in delivery's share of max_sessions */
	uint8_t state, work;  /* enum dsession_state, dsession_work */
	bool esmtp;           /* EHLO or LHLO was said */
	bool draining;        /* the server goes down: after this message 421 */
	bool failed;          /* this BDAT chunk is only read away: 503 follows */
	bool bdat, bdat_last; /* the message comes by BDAT */
	uint64_t bdat_left, bdat_octets;
	uint32_t errors;
	struct peer connected; /* who is there, whomever it speaks for */
	char *helo;            /* in the arena; NULL: not said */
	struct lookup *lookup; /* rcpt.h: RCPT under way; in the heap */
	struct envelope mail;
	size_t next_reply; /* DWORK_REPLY */
	uint64_t n_mails, accepted, refused, octets;
};

/* ---- for the loop (session/talk.h) ----------------------------------------------------------- */

void dsession_greet(struct task *t);
void dsession_describe(const struct task *t, struct slot_record *r);
/* What the client has said of itself and its mail is forgotten. */
void dsession_clear(struct task *t);

/* ---- what it speaks -------------------------------------------------------------------------- */

bool dsession_is_lmtp(const struct dsession *s);
/* For logs and Received. */
const char *dsession_protocol(const struct dsession *s);

/* ---- the log --------------------------------------------------------------------------------- */

void dsession_log_end(struct dsession *s);
/* One line for each message: who, for whom, how large, and what became of it. */
void dsession_log_mail(struct dsession *s, size_t i, const struct dreply *r);

/* ---- replies --------------------------------------------------------------------------------- */

enum turn dsession_say(struct dsession *s, unsigned code, const char *enhanced, const char *text);
enum turn dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom);
/* An error the client made: enough of them end the session. */
enum turn dsession_fault(struct dsession *s, unsigned code, const char *enhanced, const char *text);

/* ---- ends ------------------------------------------------------------------------------------ */

/* The mail is forgotten; no handle may be open. */
void dsession_forget(struct dsession *s);
void dsession_drop_lookup(struct dsession *s);
/* The last reply, 421, of a session that did not ask for it. */
void dsession_close(struct dsession *s, const char *enhanced, const char *text, const char *how);
/* Between two messages, while the server goes down: that. */
void dsession_drain(struct dsession *s);

#endif
