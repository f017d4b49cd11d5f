/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_impl - what sweep.c (from mailbox to mailbox), sweep_box.c (what is done with one),
 * sweep_domain.c (a domain as a whole), sweep_undo.c (the undo storage's part in it),
 * sweep_place.c (is it a place of its own?) and sweep_report.c share. */
#ifndef RST_UPKEEP_SWEEP_IMPL_H
#define RST_UPKEEP_SWEEP_IMPL_H

#include <pthread.h>

#include "account/find.h"
#include "mailbox/retention.h"
#include "mailbox/visit.h"
#include "module/errand.h"
#include "upkeep/sweep.h"
#include "upkeep/transfer.h"

enum sweep_phase {
	SWEEP_LIST,
	SWEEP_LOOKUP,
	SWEEP_STAT,
	SWEEP_OPEN,
	SWEEP_INFO,
	SWEEP_COMMIT,
	SWEEP_CLOSE,
	SWEEP_PLACE,
	SWEEP_TRANSFER,
	SWEEP_DOMAIN
};

struct sweep;

/* The mailbox at hand. */
struct sweep_box {
	char name[PM_NAME_MAX + 1];
	struct find find;
	void *user_mem;
	struct pm_user user;
	struct backend *storage; /* borrowed from conf: where it is looked at */
	struct retention retention;
	struct quota_limits limits;
	struct quota_hold hold;
	struct visit visit;
	bool whole;   /* all of it was looked at */
	bool asked;   /* box_stat was begun */
	uint8_t *map; /* to delete, or to restore */
	uint64_t chosen, chosen_octets;
	int64_t now_ms;
	/* the undo storage */
	bool hidden;  /* there is hidden mail */
	bool in_undo; /* storage and mailbox are the undo storage's now; home: its own */
	struct backend *home;
	struct pm_user undo_user;
	struct pm_user unlimited; /* its own, without quotas: for what is brought back */
	struct transfer transfer;
	/* where home says that the mailbox lies; the errand's memory */
	struct pm_str place;
	/* when its place in the undo storage is another one */
	int32_t (*then)(struct sweep *s, struct errand *e);
};

struct sweep {
	struct conf *conf; /* the errand's */
	struct sweep_order order;
	enum sweep_phase phase;
	size_t section; /* of conf->storage */
	struct pm_box *page;
	size_t page_n, page_at;
	bool last_page;
	char cursor[PM_CURSOR_MAX + 1];
	size_t cursor_n;
	struct sweep_box box;
	unsigned recounts_begun;
	unsigned settle_waits;
	uint64_t changes;
	bool marked;
	bool ours; /* a mailbox was counted whose store does not count itself */
	pthread_mutex_t *mutex;
	struct sweep_report *report; /* under mutex */
};

/* Goes on with the box, until a wait; all but PM_AGAIN: done with this mailbox. */
int32_t sweep_box_step(struct sweep *s, struct errand *e);
void sweep_box_free(struct sweep_box *b);
/* The account is known: what is asked next. */
int32_t sweep_box_begin(struct sweep *s, struct errand *e);
/* Opens the mailbox of s->box at its storage. */
int32_t sweep_box_open(struct sweep *s, struct errand *e);
/* UNDELETE: is it one of those that are asked for? */
bool sweep_wants(const struct sweep *s, const struct pm_msg *m);

/* ---- sweep_domain.c -------------------------------------------------------------------------- */

/* Before the first mailbox of a count: changes from here on are noticed. False: what is under
 * way, and may be in its mailbox or not, is to end first. */
bool sweep_domain_mark(struct sweep *s);
/* All of a domain were counted. PM_AGAIN: it is not true any more, all of it once more. */
int32_t sweep_domain_end(struct sweep *s);
/* The next storage section that counts domains itself, from s->section on; NULL: none. */
struct backend *sweep_domain_next(struct sweep *s);
/* SWEEP_DOMAIN: what b says of the domain. */
int32_t sweep_domain_step(struct sweep *s, struct errand *e, struct backend *b);

/* ---- sweep_undo.c ---------------------------------------------------------------------------- */

/* The mailbox at hand was closed, all went well: what is to be done in the undo storage?
 * PM_AGAIN, or PM_OK: nothing. */
int32_t sweep_undo_next(struct sweep *s, struct errand *e);
/* CARRY: the account is known. */
int32_t sweep_undo_begin(struct sweep *s, struct errand *e);
/* SWEEP_TRANSFER. */
int32_t sweep_undo_move(struct sweep *s, struct errand *e);
/* A mailbox of the undo storage's list: its name (false: it is none), and its turn: PM_AGAIN, or
 * why not. */
bool sweep_undo_name(struct sweep *s, const char *key, size_t n);
int32_t sweep_undo_box(struct sweep *s, struct errand *e);
/* Is this message of the undo storage to be deleted: was it moved there, and is its time over?
 * Counts what is not known to have been moved there. */
bool sweep_undo_due(struct sweep *s, const struct pm_msg *m);
/* CARRY, TIDY and PLACES have ended. */
void sweep_undo_end(struct sweep *s, int32_t rc, const char *error);
/* sweep_tick's part. */
void sweep_undo_tick(struct conf *c, int64_t now_ms);

/* ---- sweep_place.c --------------------------------------------------------------------------- */

/* The account at hand is known to s->storage, and undo_user is made: asks both where its mailbox
 * lies, then goes on with `then`. In the same place: PM_EXISTS and a text. */
int32_t sweep_place_ask(struct sweep *s, struct errand *e,
			int32_t (*then)(struct sweep *s, struct errand *e));
/* SWEEP_PLACE. */
int32_t sweep_place_step(struct sweep *s, struct errand *e);
/* PLACES: the same of all storage sections. */
int32_t sweep_place_all(struct sweep *s, struct errand *e);

/* ---- sweep_report.c -------------------------------------------------------------------------- */

static inline bool
sweep_in_background(const struct sweep_order *o)
{
	return o->kind >= SWEEP_CARRY;
}

/* Sets s->report and s->mutex. False: error (200 bytes) says why not. */
bool sweep_report_new(struct sweep *s, char *error);
/* It never began, or it is one of the background's, at its end. */
void sweep_report_drop(struct sweep *s);

#endif
