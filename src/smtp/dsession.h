/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsession - one client that hands over mail, by LMTP or SMTP, from accept to the end of its
 * connection and until no store holds anything half done for it. Owned by its slot's owner; no
 * field has a lock.
 *
 * Who does what: dsession.c makes, ends and describes it; dstep.c is what delivery gives to the one
 * loop (session/talk.h); dcmd.c are the commands; xclient.c is XCLIENT; rcpt.c asks the auth chain
 * about recipients, room.c about volumes and quotas; intake.c takes in DATA and BDAT; store.c hands
 * it to the stores, to_badmail.c to Badmail; answer.c says what became of it; trace.c writes the
 * header lines we add.
 */
#ifndef RST_SMTP_DSESSION_H
#define RST_SMTP_DSESSION_H

#include <restante/module.h>

#include "account/find.h"
#include "base/arena.h"
#include "conf/conf.h"
#include "module/backend.h"
#include "module/caller.h"
#include "net/listener.h"
#include "net/stream.h"
#include "session/talk.h"
#include "smtp/delivery.h"
#include "smtp/dparse.h"
#include "smtp/dreply.h"
#include "smtp/envelope.h"
#include "work/task.h"

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

/* RCPT under way. */
struct lookup {
	char given[ADDRESS_QUOTED_MAX + 1]; /* quoted, for replies */
	struct find find;                   /* whom it means; of an alias the target's turn */
	size_t n_targets_before;            /* to take back what was added */
	struct rcpt *rcpt;                  /* set while an alias is expanded */
	const struct pm_str *targets;       /* the alias' */
	size_t n_targets, at;
	/* a mailbox that was found, DWORK_ROOM */
	struct target found;
	const struct conf_section *storage;
	char alias[PM_NAME_MAX + 1]; /* its own name */
};

struct dsession {
	struct task task; /* first */
	struct conf *conf;
	const struct conf_listener *listener;
	struct stream io;
	struct talk talk;
	struct caller caller; /* memory of the envelope */
	uint8_t state, work;  /* enum dsession_state, dsession_work */
	bool esmtp;           /* EHLO or LHLO was said */
	bool draining;        /* the server goes down: after this message 421 */
	bool failed;          /* this BDAT chunk is only read away: 503 follows */
	bool bdat, bdat_last; /* the message comes by BDAT */
	uint64_t bdat_left, bdat_octets;
	uint32_t errors;
	struct peer connected; /* who is there */
	struct peer *peer;     /* the same, or for whom it speaks by XCLIENT; in the arena */
	char *helo;            /* in the arena; NULL: not said */
	struct lookup *lookup; /* in the heap */
	struct envelope mail;
	size_t next_reply; /* DWORK_REPLY */
	uint64_t n_mails, accepted, refused, octets;
	struct arena arena;
};

/* ---- dsession.c ------------------------------------------------------------------------------ */

void dsession_log_end(struct dsession *s);
/* One line for each message: who, for whom, how large, and what became of it. */
void dsession_log_mail(struct dsession *s, size_t i, const struct dreply *r);
bool dsession_is_lmtp(const struct dsession *s);
/* For logs and Received. */
const char *dsession_protocol(const struct dsession *s);
/* What the client has said of itself and its mail is forgotten; no handle may be open. */
void dsession_forget(struct dsession *s);
/* For the loop (session/talk.h). */
void dsession_greet(struct task *t);
void dsession_describe(const struct task *t, struct slot_record *r);
void dsession_clear(struct task *t);

/* ---- replies --------------------------------------------------------------------------------- */

enum turn dsession_say(struct dsession *s, unsigned code, const char *enhanced, const char *text);
enum turn dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom);
/* An error the client made: enough of them end the session. */
enum turn dsession_fault(struct dsession *s, unsigned code, const char *enhanced, const char *text);

/* ---- dstep.c --------------------------------------------------------------------------------- */
extern const struct protocol delivery_protocol;
/* Between two messages, while the server goes down: 421. */
void dsession_drain(struct dsession *s);

/* ---- rcpt.c ---------------------------------------------------------------------------------- */
enum turn rcpt_start(struct dsession *s, const struct address *a);
enum turn rcpt_work(struct dsession *s);
void rcpt_forget(struct dsession *s);

/* ---- intake.c -------------------------------------------------------------------------------- */
enum turn intake_data(struct dsession *s);
enum turn intake_bdat(struct dsession *s, uint64_t octets, bool last);
/* For the loop (session/talk.h): n octets of the message. */
enum turn intake_feed(struct dsession *s, const char *p, size_t n, size_t *ret_used);

/* ---- store.c --------------------------------------------------------------------------------- */
/* The chunk, and all else that is due. */
enum turn store_work(struct dsession *s);
/* Handles go back; then the session goes on, or ends. */
enum turn store_abort(struct dsession *s);

/* ---- answer.c -------------------------------------------------------------------------------- */
/* It is decided what became of the message: counted, logged, replies follow. */
enum turn answer_over(struct dsession *s);
enum turn answer_work(struct dsession *s);

/* ---- trace.c --------------------------------------------------------------------------------- */
#define TRACE_MAX 2600
/* "Received: ..." with CRLF; returns its length. */
size_t trace_received(const struct dsession *s, char to[TRACE_MAX]);
/* "Return-Path: ...", "Delivered-To: ..." of one target. */
size_t trace_head(const struct dsession *s, const struct target *t, char to[TRACE_MAX]);

#endif
