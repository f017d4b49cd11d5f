/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep_report - the results of sweeps: the last few that an operator ordered, by number. Threads:
 * any, under the one mutex of all reports.
 */
#ifndef RST_UPKEEP_SWEEP_REPORT_H
#define RST_UPKEEP_SWEEP_REPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "mailbox/quota_domain.h"
#include "upkeep/sweep.h"

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
	int32_t rc;                   /* when done: PM_OK, or the reason why it ended early */
	int64_t started_ms, ended_ms; /* UTC */
	uint64_t boxes;               /* looked at */
	uint64_t no_account;          /* mailboxes without an account */
	uint64_t busy;                /* passed over: somebody is logged in */
	uint64_t failed;
	uint64_t messages, octets; /* expired, restored, or counted */
	/* in the undo storage, not known to have been moved there: kept */
	uint64_t unmarked;
	char error[PM_ERROR_MAX + PM_KEY_MAX + 8]; /* of the last mailbox that failed */
	/* USAGE of a user */
	struct pm_stat stat;
	struct quota_limits limits;
	/* USAGE; RECOUNT: the totals of stores that count domains themselves */
	struct quota_usage domain_usage;
	int32_t domain_rc; /* PM_NOENT: no store has totals */
	char section[65];
	/* UNDELETE */
	size_t n_found; /* of all hidden messages, the first SWEEP_UIDLS */
	struct sweep_found found[SWEEP_UIDLS];
};

/* A report of its own for each round of the background; else a numbered one. *ret_mutex guards it.
 * NULL: the reason is in error (200 bytes). */
struct sweep_report *sweep_report_new(const struct sweep_order *o, pthread_mutex_t **ret_mutex,
				      char *error);
/* The sweep never began, or it is one of the background's, at its end. */
void sweep_report_drop(struct sweep_report *r, const struct sweep_order *o);
/* False: no such sweep (any more). */
bool sweep_report_get(uint64_t id, struct sweep_report *ret);

#endif
