/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3 - one POP3 client, from accept to the end of its connection, and until its mailbox is given
 * back; and what all parts of it need: replies, log lines. Owned by its slot's owner; no field has
 * a lock.
 *
 * Who does what: step.c makes it, and is what POP3 gives to the one loop (session/talk.h); login.c
 * asks the auth chain, open.c opens the maildrop; cmd_auth.c and cmd_trans.c are the commands of
 * the two states; produce.c writes long replies, message.c messages; update.c is QUIT.
 * doc/internals/sessions.md draws its states.
 */
#ifndef RST_POP3_POP3_H
#define RST_POP3_POP3_H

#include <restante/module.h>

#include "mailbox/quota_domain.h"
#include "mailbox/registry.h"
#include "mailbox/retention.h"
#include "mailbox/visit.h"
#include "module/backend.h"
#include "net/listener.h"
#include "pop3/maildrop.h"
#include "pop3/parse.h"
#include "pop3/reply.h"
#include "pop3/wire.h"
#include "session/session.h"

#define POP3_IN 4096
#define POP3_OUT 32768
/* a line of a SASL exchange: PLAIN and LOGIN need no more */
#define POP3_SASL_MAX (POP3_IN - 1)

enum pop3_state {
	STATE_AUTH,   /* RFC 1939 s4 */
	STATE_TRANS,  /* s5 */
	STATE_UPDATE, /* s6 */
};

/* What the session is waiting to do. */
enum pop3_work {
	WORK_NONE,
	WORK_PENALTY, /* login: a timer, then VERIFY */
	WORK_VERIFY,  /* login: permit of chain entry `auth` */
	WORK_CONFIRM, /* login: is the name it goes by this account's? */
	WORK_CLAIM,   /* login: the maildrop's holder was asked to leave */
	WORK_OPEN,    /* login: mbox_open */
	WORK_DENIED,  /* login: the refusal waits for its second */
	WORK_SIZES,   /* mbox_info OCTETS until all are known; then `verb` goes on */
	WORK_LIST,    /* memory only */
	WORK_UIDL,    /* mbox_info UIDL */
	WORK_MSG,     /* RETR, TOP */
	WORK_EXPIRE,  /* QUIT: mbox_info for what retention and quotas want to know */
	WORK_COMMIT,  /* QUIT */
	WORK_CLOSE,   /* msg_close and mbox_close; then QUIT's reply or the end */
};

struct pop3 {
	struct session base; /* first */
	struct caller caller;
	uint8_t state, work; /* enum pop3_state, pop3_work */
	bool quit;           /* QUIT was given: its reply follows WORK_CLOSE */
	int32_t quit_rc;     /* what the commit came to */
	uint8_t bad_commands, failed_logins;
	uint8_t read_errors; /* of one message */
	char *user_given;    /* USER's argument, in the arena; NULL: none */
	char *apop_stamp;    /* in the arena; NULL: APOP is off */
	struct sasl *sasl;   /* exchange under way, in the heap */
	struct login *login; /* in the heap */
	/* after login */
	struct backend *storage;  /* one reference */
	const char *auth_section; /* the conf's */
	/* how the account was known without asking, for the log; NULL: it was asked */
	const char *cached;
	struct registry_entry *claim;
	struct pm_user user; /* strings in the arena */
	struct visit visit;  /* to the mailbox */
	struct maildrop drop;
	uint64_t table_bytes; /* counted against tables_max */
	/* the reply being produced */
	uint8_t verb;      /* whose it is: enum verb */
	bool one;          /* LIST, UIDL: of one message, not of all */
	uint64_t msg_idx;  /* that one; RETR, TOP: which */
	uint64_t next_idx; /* how far it is */
	uint64_t top_lines;
	uint8_t stage;   /* of the message: message.c's */
	bool suspect;    /* it broke off before: it is read through before it is sent, */
	uint64_t proved; /* and had so many octets */
	struct wire wire;
	uint64_t retrieved, retrieved_octets, deleted;
	/* from QUIT on */
	int64_t commit_ms; /* UTC */
	struct retention retention;
	struct quota_limits limits;
	struct quota_hold hold;
};

/* ---- for the loop (session/talk.h) ----------------------------------------------------------- */

void pop3_greet(struct task *t);
void pop3_describe(const struct task *t, struct slot_record *r);

/* ---- the connection -------------------------------------------------------------------------- */

/* On this connection, or up to a proxy that is believed. */
bool pop3_encrypted(const struct pop3 *s);
/* USER, PASS, AUTH are possible on this connection now. */
bool pop3_may_login(const struct pop3 *s);

/* ---- the log --------------------------------------------------------------------------------- */

/* One line per login, refused login, session end. */
void pop3_log_login(struct pop3 *s);
void pop3_log_refused(struct pop3 *s, const char *name, const char *mech, const char *reason,
		      const char *detail);
void pop3_log_end(struct pop3 *s);
/* A failed module call: level by what failed. */
void pop3_log_call(struct pop3 *s, const struct backend *b, const char *method, int32_t rc,
		   const char *text);

/* ---- replies; all take the text of one line -------------------------------------------------- */

enum turn pop3_ok(struct pop3 *s, const char *text);
enum turn pop3_err(struct pop3 *s, enum reply_code code, const char *text);
enum turn pop3_result(struct pop3 *s, int32_t rc, const char *what);

#endif
