/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - one POP3 client, from accept to the end of its connection, and until its mailbox is
 * given back. Owned by its slot's owner; no field has a lock.
 *
 * Who does what: session.c makes, ends and describes it; step.c is what POP3 gives to the one loop
 * (session/talk.h); login.c asks the auth chain, open.c opens the maildrop; cmd_auth.c and
 * cmd_trans.c are the commands of the two states; produce.c writes long replies, message.c
 * messages; update.c is QUIT.
 */
#ifndef RST_POP3_SESSION_H
#define RST_POP3_SESSION_H

#include <restante/module.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "mailbox/quota_domain.h"
#include "mailbox/registry.h"
#include "mailbox/retention.h"
#include "mailbox/visit.h"
#include "module/backend.h"
#include "module/caller.h"
#include "net/listener.h"
#include "net/stream.h"
#include "pop3/maildrop.h"
#include "pop3/parse.h"
#include "pop3/reply.h"
#include "pop3/wire.h"
#include "session/talk.h"
#include "work/task.h"

#define SESSION_IN 4096
#define SESSION_OUT 32768
/* a line of a SASL exchange: PLAIN and LOGIN need no more */
#define SESSION_SASL_MAX (SESSION_IN - 1)

enum session_state {
	STATE_AUTH,   /* RFC 1939 s4 */
	STATE_TRANS,  /* s5 */
	STATE_UPDATE, /* s6 */
};

/* What the session is waiting to do. */
enum session_work {
	WORK_NONE,
	WORK_PENALTY, /* login: a timer, then VERIFY */
	WORK_VERIFY,  /* login: permit of chain entry `auth` */
	WORK_CONFIRM, /* login: is the name it goes by this account's? */
	WORK_CLAIM,   /* login: the maildrop's holder was asked to leave */
	WORK_OPEN,    /* login: mbox_open */
	WORK_DENIED,  /* login: the refusal waits for its second */
	WORK_SIZES,   /* mbox_info OCTETS until all are known; then `then` runs */
	WORK_LIST,    /* memory only */
	WORK_UIDL,    /* mbox_info UIDL */
	WORK_MSG,     /* RETR, TOP */
	WORK_EXPIRE,  /* QUIT: mbox_info for what retention and quotas want to know */
	WORK_COMMIT,  /* QUIT */
	WORK_CLOSE,   /* msg_close and mbox_close; then QUIT's reply or the end */
};

struct session;
struct find; /* account/find.h */

/* A login under way; gone when it is decided. */
struct login {
	char name[PM_NAME_MAX + 1]; /* normalised */
	const char *mech;           /* "USER", "PLAIN", "LOGIN", "APOP" */
	uint32_t kind;              /* PM_CRED_... */
	char *secret;               /* wiped and freed */
	size_t secret_n;
	char *authzid;
	int auth;          /* index into conf->auth */
	struct find *find; /* WORK_CONFIRM; NULL: nothing is to be asked */
	int64_t started_ms;
	bool counted; /* guard_begin said GO */
	bool waited;  /* the registry's WAIT was used up */
};

struct session {
	struct task task; /* first */
	struct conf *conf;
	const struct conf_listener *listener;
	struct stream io;
	struct talk talk;
	struct caller caller;
	uint8_t state, work; /* enum session_state, session_work */
	bool quit;           /* QUIT was given: its reply follows WORK_CLOSE */
	int32_t quit_rc;     /* what the commit came to */
	uint8_t bad_commands, failed_logins;
	uint8_t read_errors; /* of one message */
	struct peer *peer;   /* in the arena */
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
	struct arena arena;
};

/* ---- session.c ------------------------------------------------------------------------------- */

/* net/listener.h: struct listener's session_new. */
struct task *pop3_session_new(const struct listener *l, int fd, const struct peer *p);
/* For the loop (session/talk.h). */
void session_greet(struct task *t);
void session_describe(const struct task *t, struct slot_record *r);
void session_forget(struct task *t);
/* Log lines: one per login, refused login, session end. */
void session_log_login(struct session *s);
void session_log_refused(struct session *s, const char *name, const char *mech, const char *reason,
			 const char *detail);
void session_log_end(struct session *s);
/* A failed module call: level by what failed. */
void session_log_call(struct session *s, const struct backend *b, const char *method, int32_t rc,
		      const char *text);
/* On this connection, or up to a proxy that is believed. */
bool session_encrypted(const struct session *s);
/* USER, PASS, AUTH are possible on this connection now. */
bool session_may_login(const struct session *s);

/* ---- replies; all take the text of one line -------------------------------------------------- */
enum turn session_ok(struct session *s, const char *text);
enum turn session_err(struct session *s, enum reply_code code, const char *text);
enum turn session_result(struct session *s, int32_t rc, const char *what);

/* ---- step.c ---------------------------------------------------------------------------------- */
extern const struct protocol pop3_protocol;

/* ---- login.c --------------------------------------------------------------------------------- */
/* Starts checking; secret is taken over (malloc'd). The reply comes when it is decided. */
enum turn login_start(struct session *s, const char *name, size_t name_n, const char *mech,
		      uint32_t kind, char *secret, size_t secret_n);
enum turn login_work(struct session *s);
void login_drop(struct session *s); /* wiped; guard and registry know */
/* It is decided against; the session stays in AUTHORIZATION and needs a new USER. */
enum turn login_over(struct session *s);
/* The same, for a failure that is not the client's fault: logged, and told by rc. */
enum turn login_failed_temp(struct session *s, int32_t rc, const char *reason, const char *detail);

/* ---- open.c ---------------------------------------------------------------------------------- */
/* s->user is let in, its storage known; login_work goes on with open_work. */
enum turn open_begin(struct session *s);
enum turn open_work(struct session *s);
/* The message table is no longer counted against tables_max. */
void open_table_free(struct session *s);

/* ---- sasl.c ---------------------------------------------------------------------------------- */
enum turn sasl_start(struct session *s, const struct command *c);
enum turn sasl_line(struct session *s, const char *p, size_t n);
void sasl_drop(struct session *s);
/* "PLAIN LOGIN" */
const char *sasl_names(void);

/* ---- produce.c ------------------------------------------------------------------------------- */
enum turn produce_sizes(struct session *s);
enum turn produce_list(struct session *s);
enum turn produce_uidl(struct session *s);

/* ---- message.c ------------------------------------------------------------------------------- */
/* RETR and TOP, as `verb`, of message msg_idx. */
enum turn message_begin(struct session *s);
enum turn message_send(struct session *s);

/* ---- cmd_trans.c ----------------------------------------------------------------------------- */
enum turn trans_sized(struct session *s); /* the command that waited for sizes */

/* ---- expire.c -------------------------------------------------------------------------------- */
/* QUIT: what retention adds is marked for deletion. True: WORK_EXPIRE has something to ask
 * first. */
bool expire_begin(struct session *s);
enum turn expire_work(struct session *s);
/* The domain's count, under the permit and before the commit. */
void expire_count_begin(struct session *s);

/* ---- update.c -------------------------------------------------------------------------------- */
bool update_commits(const struct session *s); /* is there anything to commit? */
enum turn update_quit(struct session *s);
enum turn update_commit(struct session *s);
enum turn update_close(struct session *s);

#endif
