/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_impl - what sweep.c (jobs, from mailbox to mailbox) and sweep_box.c (what is done with one) share. */
#ifndef RST_CORE_SWEEP_IMPL_H
#define RST_CORE_SWEEP_IMPL_H

#include <pthread.h>

#include "core/errand.h"
#include "core/retention.h"
#include "core/sweep.h"

enum sweep_phase { SWEEP_LIST, SWEEP_LOOKUP, SWEEP_STAT, SWEEP_OPEN, SWEEP_INFO, SWEEP_COMMIT, SWEEP_CLOSE };

/* The mailbox at hand. */
struct sweep_box {
	char name[PM_NAME_MAX + 1];
	int auth;
	void *user_mem;
	struct pm_user user;
	struct backend *storage; /* borrowed from conf */
	struct retention retention;
	struct quota_limits limits;
	struct quota_hold hold;
	void *mbox;
	bool asked;              /* box_stat was begun */
	uint64_t count, at;
	uint8_t *map;            /* to delete, or to restore */
	uint64_t chosen, chosen_octets;
	int64_t now_ms;
	uint8_t op_id[16];
};

struct sweep {
	struct conf *conf;       /* the errand's */
	struct sweep_order order;
	enum sweep_phase phase;
	size_t section;          /* of conf->storage */
	struct pm_box *page;
	size_t page_n, page_at;
	bool last_page;
	char cursor[PM_CURSOR_MAX + 1];
	size_t cursor_n;
	struct sweep_box box;
	unsigned counts;         /* RECOUNT: how often it was begun, */
	unsigned settles;        /* how often it waited before */
	uint64_t changes;
	bool marked;
	bool ours;          /* a mailbox was counted whose store does not count itself */
	pthread_mutex_t *mutex;
	struct sweep_report *report; /* under mutex */
};

/* One call for the box under the errand's permit; PM_AGAIN: again; all else: done with this mailbox. */
int32_t sweep_box_step(struct sweep *s, struct errand *e);
void sweep_box_free(struct sweep_box *b);
/* The account is known: what is asked next. */
int32_t sweep_box_begin(struct sweep *s, struct errand *e);

#endif
