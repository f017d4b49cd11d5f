/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep_state - a sweep under way. Its steps are in sweep_list.c (from mailbox to mailbox),
 * sweep_box.c (the work on one), sweep_domain.c (a domain as a whole), sweep_undo.c (the undo
 * storage) and sweep_place.c (is that a place of its own?).
 *
 * A sweep over all mailboxes has several lanes, each an errand with a mailbox at hand; the round is
 * what they share.
 *
 * A step goes on as far as it gets. PM_AGAIN: it waits, and is entered again. PM_OK: `phase` is the
 * next step, set by sweep_go, sweep_end_box or sweep_end.
 *
 * Threads: the errand's owner; report and round are under the mutex.
 */
#ifndef RST_UPKEEP_SWEEP_STATE_H
#define RST_UPKEEP_SWEEP_STATE_H

#include <pthread.h>

#include "account/find.h"
#include "mailbox/retention.h"
#include "mailbox/visit.h"
#include "module/errand.h"
#include "upkeep/sweep.h"
#include "upkeep/sweep_report.h"
#include "upkeep/transfer.h"

/* The state of a sweep; each phase has its step. */
enum sweep_phase {
	SWEEP_LIST,       /* the next page of a section's mailboxes */
	SWEEP_LOOKUP,     /* the account of the mailbox at hand */
	SWEEP_STAT,       /* its totals */
	SWEEP_OPEN,       /* a visit to it: */
	SWEEP_INFO,       /* which of its messages are chosen */
	SWEEP_COMMIT,     /* they are deleted, or restored */
	SWEEP_CLOSE,      /* gives it back */
	SWEEP_PLACE,      /* is its place in the undo storage another one? */
	SWEEP_TRANSFER,   /* to the undo storage, or back */
	SWEEP_BOX_DOMAIN, /* its domain's totals, from its store */
	SWEEP_NEXT,       /* done with it: box.rc; the next one, or the next page */
	SWEEP_DOMAINS,    /* the stores that count the domain themselves */
	SWEEP_ALL_PLACES, /* SWEEP_PLACES: the next made-up name, the next section */
	SWEEP_OVER        /* rc */
};

struct sweep;

/* The mailbox at hand. */
struct sweep_box {
	char name[PM_NAME_MAX + 1];
	struct find find;
	void *user_mem;
	struct pm_user user;
	struct backend *storage; /* borrowed from conf: the store that is visited */
	struct retention retention;
	struct quota_limits limits;
	struct quota_hold hold;
	int32_t rc; /* SWEEP_NEXT: the mailbox's result */
	struct visit visit;
	bool look;     /* it is a look without a lock */
	bool over;     /* there is hidden mail whose time is over */
	bool whole;    /* all of it was looked at */
	bool gave_way; /* ... not, since its user logs in */
	bool asked;    /* box_stat was begun */
	uint8_t *map;  /* to delete, or to restore */
	uint64_t chosen, chosen_octets;
	uint64_t unmarked; /* in the undo storage: kept, as sweep_undo_due says */
	int64_t now_ms;    /* for what is written down */
	int64_t expire_ms; /* what was due by then goes; 0: nothing */
	/* the undo storage */
	bool hidden;  /* there is hidden mail */
	bool in_undo; /* storage and mailbox are the undo storage's now; home: its own */
	struct backend *home;
	struct pm_user undo_user;
	struct pm_user unlimited; /* its own, without quotas: for restored mail */
	struct transfer transfer;
	/* the place of the mailbox by home; the errand's memory */
	struct pm_str place;
	/* called when its place in the undo storage is another one */
	int32_t (*then)(struct sweep *s, struct errand *e);
};

#define SWEEP_PAGE 64 /* mailboxes listed at a time: a lane's work */

struct sweep_later; /* a mailbox that gave way (sweep_list.c) */

/* Shared by the lanes, under the mutex. The lane that lists is alone with the place in the list,
 * the last lane with everything. */
struct sweep_round {
	int64_t until_ms; /* constant */
	unsigned lanes;
	int32_t rc;     /* of the first lane that failed: the others end, too */
	bool listing;   /* a lane takes the next page */
	bool list_over; /* there are no more pages */
	size_t section; /* of conf->storage: the place in the list */
	char cursor[PM_CURSOR_MAX + 1];
	size_t cursor_n;
	struct sweep_later *later;
	size_t n_later; /* ever */
	/* RECOUNT */
	unsigned recounts_begun;
	unsigned settle_waits;
	uint64_t changes;
	bool marked;
	bool ours; /* a mailbox was counted whose store does not count domains */
};

/* A lane. */
struct sweep {
	struct conf *conf; /* the errand's */
	struct sweep_order order;
	struct sweep_round *round;
	enum sweep_phase phase;
	int32_t rc;     /* SWEEP_OVER */
	bool left;      /* SWEEP_OVER: other lanes go on without this one */
	size_t section; /* of conf->storage: of the page, or the one that is asked */
	struct pm_box *page;
	size_t page_n, page_at;
	bool is_later; /* the mailboxes that gave way have their turn */
	struct sweep_box box;
	pthread_mutex_t *mutex;
	struct sweep_report *report; /* under mutex */
};

static inline int32_t
sweep_go(struct sweep *s, enum sweep_phase phase)
{
	s->phase = phase;
	return PM_OK;
}

/* The mailbox at hand is done. */
static inline int32_t
sweep_end_box(struct sweep *s, int32_t rc)
{
	s->box.rc = rc;
	return sweep_go(s, SWEEP_NEXT);
}

/* The sweep is done. */
static inline int32_t
sweep_end(struct sweep *s, int32_t rc)
{
	s->rc = rc;
	return sweep_go(s, SWEEP_OVER);
}

#endif
