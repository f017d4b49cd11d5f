/* SPDX-License-Identifier: Apache-2.0 */
/* What a domain holds: the core's file is counted anew, the stores that count themselves are
 * asked. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "upkeep/sweep_impl.h"

#define COUNTS_MAX 3 /* while mail comes and goes */
/* between two counts nobody asked for; of one domain twice as long each time */
#define RECOUNT_GAP_MS 60000
#define RECOUNT_GAP_MOST_MS 3600000
#define SETTLE_US 5000 /* for what is under way as a count begins: */
#define SETTLES 40     /* so often at most */

static _Atomic int64_t recount_due_ms;

/* ---- the core's file ------------------------------------------------------------------------- */

bool
sweep_domain_mark(struct sweep *s)
{
	struct quota_usage u = {0};

	if (s->order.kind != SWEEP_RECOUNT || s->marked)
		return true;
	/* never counted: there are no changes */
	(void)quota_domain_get(s->conf, s->order.domain, &u);
	if (u.under_way > 0 && s->settle_waits++ < SETTLES) {
		(void)usleep(SETTLE_US);
		return false;
	}
	s->changes = u.changes;
	s->marked = true;
	return true;
}

int32_t
sweep_domain_end(struct sweep *s)
{
	struct quota_usage u;
	int32_t rc;

	pthread_mutex_lock(s->mutex);
	rc = s->report->failed > 0 ? PM_TEMP : PM_OK;
	pthread_mutex_unlock(s->mutex);
	if (rc != PM_OK)
		return rc;
	if (!s->ours && quota_domain_get(s->conf, s->order.domain, &u) == PM_NOENT)
		/* its stores count themselves: a count of ours would not be kept up to date */
		return PM_OK;
	/* PM_AGAIN: mail came or went meanwhile, or is about to */
	return quota_domain_set(s->conf, s->order.domain, s->changes,
				++s->recounts_begun == COUNTS_MAX, s->report->octets,
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

int32_t
sweep_domain_step(struct sweep *s, struct errand *e, struct backend *b)
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
		return PM_OK; /* it counts, and does not say what */
	if (rc != PM_OK)
		return rc;
	pthread_mutex_lock(s->mutex);
	/* of several stores the fullest: each decides by what it has */
	u = &s->report->domain_usage;
	u->octets = st.octets > u->octets ? st.octets : u->octets;
	u->msgs = st.count > u->msgs ? st.count : u->msgs;
	s->report->domain_rc = PM_OK;
	pthread_mutex_unlock(s->mutex);
	return PM_OK;
}

/* ---- doubtful domains ------------------------------------------------------------------------ */

static bool
look_at_domain(const char *domain, void *ctx)
{
	struct quota_usage u;

	(void)quota_domain_get(ctx, domain, &u); /* notes what is doubtful */
	return true;
}

void
sweep_begin(struct conf *c)
{
	quota_domain_each(c, look_at_domain, c);
}

void
sweep_tick(struct conf *c, int64_t now_ms)
{
	static struct sweep_order order = {.kind = SWEEP_RECOUNT}; /* the acceptor's */
	static char last[sizeof(order.domain)];
	static int64_t gap_ms;
	int64_t due = atomic_load(&recount_due_ms);
	char error[200];

	sweep_undo_tick(c, now_ms);
	if (now_ms < due)
		return;
	atomic_store(&recount_due_ms, now_ms + 1000);
	if (!quota_domain_doubtful(order.domain))
		return;
	/* one that mail never ceases to come to stays doubtful */
	gap_ms = strcmp(last, order.domain) != 0    ? RECOUNT_GAP_MS
		 : 2 * gap_ms < RECOUNT_GAP_MOST_MS ? 2 * gap_ms
						    : RECOUNT_GAP_MOST_MS;
	memcpy(last, order.domain, sizeof(last));
	if (sweep_start(c, &order, error) == 0)
		log_msg(LOG_LVL_WARNING, "quota", "domain %s is to be counted anew: %s",
			order.domain, error);
	atomic_store(&recount_due_ms, now_ms + gap_ms);
}
