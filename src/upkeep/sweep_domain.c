/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/sweep_domain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNTS_MAX 3   /* while mail comes and goes */
#define SETTLE_US 5000 /* to let changes that are under way as a count begins come to their end: */
#define SETTLES 40     /* this often at most */

/* ---- the core's file ------------------------------------------------------------------------- */

bool
sweep_domain_mark(struct sweep *s)
{
	struct quota_usage u = {0};

	if (s->order.kind != SWEEP_RECOUNT || s->round->marked)
		return true;
	/* never counted: there are no changes */
	(void)quota_domain_get(s->conf, s->order.domain, &u);
	if (u.under_way > 0 && s->round->settle_waits++ < SETTLES) {
		(void)usleep(SETTLE_US);
		return false;
	}
	s->round->changes = u.changes;
	s->round->marked = true;
	return true;
}

int32_t
sweep_domain_set(struct sweep *s)
{
	struct quota_usage u;
	int32_t rc;

	pthread_mutex_lock(s->mutex);
	rc = s->report->failed > 0 ? PM_TEMP : PM_OK;
	pthread_mutex_unlock(s->mutex);
	if (rc != PM_OK)
		return rc;
	if (!s->round->ours && quota_domain_get(s->conf, s->order.domain, &u) == PM_NOENT)
		/* its stores count themselves: a count of ours would not be kept up to date */
		return PM_OK;
	/* PM_AGAIN: mail came or went meanwhile, or is about to */
	return quota_domain_set(s->conf, s->order.domain, s->round->changes,
				++s->round->recounts_begun == COUNTS_MAX, s->report->octets,
				s->report->messages);
}

/* ---- stores that count themselves ------------------------------------------------------------ */

struct backend *
sweep_domain_next(struct sweep *s)
{
	for (; s->section < s->conf->n_storage; s->section++) {
		const struct conf_section *c = &s->conf->storage[s->section];

		if (!c->only_wrapped && !c->for_undo && c->backend && c->backend->counts)
			return c->backend;
	}
	return NULL;
}

/* Asks b for the domain's totals. */
static int32_t
ask_store(struct sweep *s, struct errand *e, struct backend *b)
{
	const char *domain = s->order.user[0] ? s->box.limits.domain : s->order.domain;
	struct pm_stat st = {.size = sizeof(st)};
	struct quota_usage *u;
	int32_t rc =
		caller_enter(&e->caller, b, CALL_BEGIN, "domain_stat", b->limits.scan_ms, &e->call);

	if (rc != PM_OK)
		return rc;
	rc = caller_done(&e->caller,
			 host_domain_stat(b->inst, &e->call,
					  (struct pm_str){domain, strlen(domain)},
					  s->order.kind == SWEEP_RECOUNT && s->order.anew, &st));
	if (rc == PM_AGAIN)
		return caller_ask(&e->caller, b, CALL_CONTINUE);
	if (rc == PM_UNSUPPORTED)
		return PM_OK; /* it counts, and does not report the totals */
	if (rc != PM_OK)
		return rc;
	pthread_mutex_lock(s->mutex);
	/* of several stores the fullest: each decides by its own count */
	u = &s->report->domain_usage;
	u->octets = st.octets > u->octets ? st.octets : u->octets;
	u->msgs = st.count > u->msgs ? st.count : u->msgs;
	s->report->domain_rc = PM_OK;
	pthread_mutex_unlock(s->mutex);
	return PM_OK;
}

int32_t
sweep_domain_of_box(struct sweep *s, struct errand *e)
{
	int32_t rc = ask_store(s, e, s->box.storage);

	return rc == PM_AGAIN ? rc : sweep_end_box(s, rc);
}

int32_t
sweep_domain_all(struct sweep *s, struct errand *e)
{
	struct backend *b;
	int32_t rc = PM_OK;

	while (rc == PM_OK && (b = sweep_domain_next(s))) {
		rc = ask_store(s, e, b);
		s->section += rc == PM_OK;
	}
	return rc == PM_AGAIN ? rc : sweep_end(s, rc);
}
