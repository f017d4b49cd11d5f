/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep - work on many mailboxes in the background, one after another: expiry, counting a domain
 * anew; and the same on one mailbox for the operator: bringing deleted mail back, telling usage. A
 * sweep is one errand that goes from gate to gate like a session: list, look the account up, open
 * (the maildrop's lock, like any session), look, commit, close. Somebody who is logged in is passed
 * over and counted. It ends with the server; what it did is done.
 *
 * Threads: any; sweep_look copies.
 */
#ifndef RST_UPKEEP_SWEEP_H
#define RST_UPKEEP_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"
#include "mailbox/quota.h"

enum sweep_kind {
	SWEEP_EXPIRE,   /* delete what expire = N says, and what was hidden long enough */
	SWEEP_RECOUNT,  /* a domain's mailboxes: their sum is the new count */
	SWEEP_UNDELETE, /* one user: what is hidden, listed or brought back */
	/* one user: usage and limits; or a domain, of stores that count domains themselves */
	SWEEP_USAGE,
	/* the background's (upkeep/undo.h), which nobody looks at: */
	SWEEP_CARRY,  /* one user: what is hidden goes to the undo storage */
	SWEEP_TIDY,   /* all: what is over is deleted there */
	SWEEP_PLACES, /* is the undo storage a place of its own? */
};

#define SWEEP_UIDLS 200 /* named in one order, told in one report */

struct sweep_order {
	enum sweep_kind kind;
	char user[PM_NAME_MAX + 1]; /* normalised; "": all, or all of the domain */
	char domain[256];           /* lower-case; "": all */
	bool dry_run;               /* EXPIRE, UNDELETE: only say what would be done */
	/* EXPIRE of a user: in the undo storage also what is not known to have been moved there */
	bool unmarked;
	/* RECOUNT, USAGE: mailboxes are counted, whatever their stores remember */
	bool anew;
	unsigned tries; /* CARRY: how often it failed */
	size_t n_uidls; /* UNDELETE: only these; 0: all that are hidden */
	char uidls[SWEEP_UIDLS][PM_UIDL_MAX + 1];
};

struct sweep_found {
	char uidl[PM_UIDL_MAX + 1];
	uint64_t octets;
	int64_t received_ms, first_retrieved_ms;
};

struct sweep_report {
	uint64_t id;
	enum sweep_kind kind;
	char user[PM_NAME_MAX + 1], domain[256];
	bool dry_run, done;
	int32_t rc;                   /* when done: PM_OK, or why it ended early */
	int64_t started_ms, ended_ms; /* UTC */
	uint64_t boxes;               /* looked at */
	uint64_t no_account;          /* mailboxes nobody has */
	uint64_t busy;                /* passed over: somebody is logged in */
	uint64_t failed;
	uint64_t messages, octets; /* expired, brought back, or counted */
	/* in the undo storage, not known to have been moved there: kept */
	uint64_t unmarked;
	char error[PM_ERROR_MAX + PM_KEY_MAX + 8]; /* of the last mailbox that failed */
	/* USAGE of a user */
	struct pm_stat stat;
	struct quota_limits limits;
	/* USAGE; RECOUNT: what stores say that count domains themselves */
	struct quota_usage domain_usage;
	int32_t domain_rc; /* PM_NOENT: nobody says it */
	char section[65];
	/* UNDELETE */
	size_t n_found; /* of all that are hidden, the first SWEEP_UIDLS */
	struct sweep_found found[SWEEP_UIDLS];
};

/* Starts one. 0: ret_error (200 bytes) says why not: too many at work, the domain is being
 * counted already. */
uint64_t sweep_start(struct conf *c, const struct sweep_order *order, char *ret_error);
/* False: no such sweep (any more). */
bool sweep_look(uint64_t id, struct sweep_report *ret);
/* How many messages of the undo storage the last round of the background kept because nobody
 * knows that they were moved there. */
uint64_t sweep_unmarked(void);
/* Main, at start: which domains did the last server leave doubtful? */
void sweep_begin(struct conf *c);
/* Acceptor's tick: counts doubtful domains anew, moves hidden mail to the undo storage. */
void sweep_tick(struct conf *c, int64_t now_ms);

#endif
