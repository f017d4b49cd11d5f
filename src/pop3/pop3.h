/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pop3 - one POP3 client, from accept to the end of its connection, and on until its mailbox is
 * given back; and what all parts of POP3 use: replies and log lines. Owned by its slot's owner; no
 * field has a lock.
 *
 * The files: step.c makes the session and serves the one loop (session/talk.h); login.c asks the
 * auth chain, open.c opens the maildrop; cmd_auth.c and cmd_trans.c have the commands of the two
 * states; produce.c writes long replies, message.c messages; expire.c and update.c are QUIT.
 * doc/internals/sessions.md has a drawing of the states.
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
/* the longest line of a SASL exchange: PLAIN and LOGIN need no more */
#define POP3_SASL_MAX (POP3_IN - 1)

enum pop3_state {
	STATE_AUTH,   /* RFC 1939 s4 */
	STATE_TRANS,  /* s5 */
	STATE_UPDATE, /* s6 */
};

/* The work in progress. */
enum pop3_work {
	WORK_NONE,
	WORK_PENALTY, /* login: a timer, then VERIFY */
	WORK_VERIFY,  /* login: permit of chain entry `auth` */
	WORK_CONFIRM, /* login: does the name mean this account, and no other? */
	WORK_CLAIM,   /* login: the maildrop's holder was asked to leave */
	WORK_OPEN,    /* login: mbox_open */
	WORK_DENIED,  /* login: the refusal waits for its second */
	/* mbox_info OCTETS until all are known; then the command in `verb` continues */
	WORK_SIZES,
	WORK_LIST,   /* memory only */
	WORK_UIDL,   /* mbox_info UIDL */
	WORK_MSG,    /* RETR, TOP */
	WORK_EXPIRE, /* QUIT: mbox_info for the dates and sizes that retention and quotas need */
	WORK_COMMIT, /* QUIT */
	WORK_CLOSE,  /* msg_close and mbox_close; then QUIT's reply or the end */
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
	struct sasl *sasl;   /* exchange in progress, in the heap */
	struct login *login; /* in the heap */
	/* after login */
	struct backend *storage;  /* one reference */
	const char *auth_section; /* the conf's */
	/* for the log: how the account was known without asking its section; NULL: it was asked */
	const char *cached;
	struct registry_entry *claim;
	struct pm_user user; /* strings in the arena */
	struct visit visit;  /* to the mailbox */
	struct maildrop drop;
	uint64_t table_bytes; /* counted against tables_max */
	/* the reply being produced */
	uint8_t verb;      /* to which command: enum verb */
	bool one;          /* LIST, UIDL: about one message, not all */
	uint64_t msg_idx;  /* that message; also of RETR and TOP */
	uint64_t next_idx; /* how far the reply is */
	uint64_t top_lines;
	uint8_t stage; /* of the message: message.c's */
	/* it broke off in an earlier session, so it is read through before it is sent */
	bool suspect;
	uint64_t proved; /* how many octets it had then */
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

/* TLS on this connection, or on the way to a proxy that is trusted. */
bool pop3_encrypted(const struct pop3 *s);
/* May the client log in on this connection now? */
bool pop3_may_login(const struct pop3 *s);

/* ---- the log --------------------------------------------------------------------------------- */

/* One line for each login, refused login, and end of a session. */
void pop3_log_login(struct pop3 *s);
void pop3_log_refused(struct pop3 *s, const char *name, const char *mech, const char *reason,
		      const char *detail);
void pop3_log_end(struct pop3 *s);
/* A failed module call; the level depends on the failure. */
void pop3_log_call(struct pop3 *s, const struct backend *b, const char *method, int32_t rc,
		   const char *text);

/* ---- replies; all take the text of one line -------------------------------------------------- */

enum turn pop3_ok(struct pop3 *s, const char *text);
enum turn pop3_err(struct pop3 *s, enum reply_code code, const char *text);
enum turn pop3_result(struct pop3 *s, int32_t rc, const char *what);

#endif
