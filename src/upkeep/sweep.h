/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep - work on many mailboxes in the background, some of them side by side: expiry, recounting a
 * domain; and the same on one mailbox for the operator: restoring deleted mail, reporting usage. A
 * sweep is a few errands that go from gate to gate like sessions: list, look the account up, open,
 * look, and, if there is something to do, open again with the maildrop's lock, commit, close. A
 * mailbox with something to do whose user is logged in is passed over and counted; one whose user
 * logs in meanwhile is given back, and visited once more at the end. It ends with the server; work
 * already done stays done.
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
	SWEEP_EXPIRE,   /* delete mail by expire = N, and mail that was hidden long enough */
	SWEEP_RECOUNT,  /* a domain's mailboxes: their sum is the new count */
	SWEEP_UNDELETE, /* one user: hidden mail, listed or restored */
	/* one user: usage and limits; or a domain, of stores that count domains themselves */
	SWEEP_USAGE,
	/* the background's (upkeep/undo.h), without a report: */
	SWEEP_CARRY,  /* one user, or all: hidden mail goes to the undo storage */
	SWEEP_TIDY,   /* all: mail whose time is over is deleted there */
	SWEEP_PLACES, /* is the undo storage a place of its own? */
};

#define SWEEP_UIDLS 200 /* named in one order, listed in one report */

struct sweep_report;

struct sweep_order {
	enum sweep_kind kind;
	char user[PM_NAME_MAX + 1]; /* normalised; "": all, or all of the domain */
	char domain[256];           /* lower-case; "": all */
	bool dry_run;               /* EXPIRE, UNDELETE: report only, change nothing */
	/* EXPIRE of a user: in the undo storage also mail that is not known to have been moved
	 * there */
	bool unmarked;
	/* RECOUNT, USAGE: mailboxes are counted, whatever totals their stores remember */
	bool anew;
	unsigned tries; /* CARRY: how often it failed */
	/* the background's: called with the result, on a worker; else NULL */
	void (*over)(struct conf *c, const struct sweep_order *o, const struct sweep_report *r);
	size_t n_uidls; /* UNDELETE: only these; 0: all hidden messages */
	char uidls[SWEEP_UIDLS][PM_UIDL_MAX + 1];
};

/* Starts a sweep. 0: the reason is in ret_error (200 bytes): too many are running, or the domain is
 * being counted already. */
uint64_t sweep_start(struct conf *c, const struct sweep_order *order, char *ret_error);

struct sweep; /* sweep_state.h */
/* For sweep_list.c: another lane of the same sweep, which lists. False: no slot or memory. */
bool sweep_lane_start(struct sweep *s);

#endif
