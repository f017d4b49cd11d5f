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

struct sweep_report;

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
	/* the background's: called with the outcome, on a worker; else NULL */
	void (*over)(struct conf *c, const struct sweep_order *o, const struct sweep_report *r);
	size_t n_uidls; /* UNDELETE: only these; 0: all that are hidden */
	char uidls[SWEEP_UIDLS][PM_UIDL_MAX + 1];
};

/* Starts one. 0: ret_error (200 bytes) says why not: too many at work, the domain is being
 * counted already. */
uint64_t sweep_start(struct conf *c, const struct sweep_order *order, char *ret_error);

#endif
