/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that QUIT deletes besides those the client deleted (mailbox/retention.h), and the sizes
 * that a domain's count needs: dates and sizes are asked for in slices before the commit. If that
 * fails, only this is lost: the client's own deletions are committed all the same.
 */
#include "pop3/expire.h"

#include "base/clock_note.h"
#include "base/log.h"
#include "pop3/update.h"

/* A wish of the directory that the store cannot fulfil is logged at most once a minute. */
static void
expire_fit(struct pop3 *s, struct retention *r)
{
	static struct log_rate rate;
	uint64_t held;

	if (!retention_fit(r, s->storage->can_mark, s->storage->can_hide) &&
	    log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "retention",
			"user '%.*s' has an expire or undo that storage section %s cannot keep; "
			"deleting is left to the client",
			(int)s->user.name.n, s->user.name.p, s->storage->section);
}

static bool
wants_sizes(const struct pop3 *s)
{
	return s->limits.domain_counted && maildrop_pending(&s->drop) > 0 &&
	       s->drop.sized < s->drop.count;
}

bool
expire_begin(struct pop3 *s)
{
	retention_of(s->base.conf, &s->user, &s->retention);
	expire_fit(s, &s->retention);
	if (retention_on_retrieval(&s->retention, &s->user))
		for (uint64_t i = 0; i < s->drop.count; i++)
			if (maildrop_retrieved(&s->drop, i))
				maildrop_delete(&s->drop, i);
	quota_fill(s->base.conf, &s->user);
	quota_limits(s->storage, &s->user, &s->limits);
	s->next_idx = retention_wants_dates(&s->retention, &s->user) ? 0 : s->drop.count;
	return s->next_idx < s->drop.count || wants_sizes(s);
}

/* One slice of dates. */
static int32_t
look_at_dates(struct pop3 *s)
{
	struct pm_msg info[VISIT_SLICE];
	uint64_t left = s->drop.count - s->next_idx;
	size_t n = left < VISIT_SLICE ? (size_t)left : VISIT_SLICE;
	int64_t now = clock_expire_ms();
	int32_t rc = visit_info(&s->visit, &s->caller, s->next_idx, n, PM_WANT_DATES, info);

	for (size_t i = 0; rc == PM_OK && i < n; i++)
		if (retention_due(&s->retention, info[i].first_retrieved_ms, info[i].received_ms,
				  now) &&
		    !maildrop_unread(&s->drop, s->next_idx + i))
			maildrop_delete(&s->drop, s->next_idx + i);
	if (rc == PM_OK)
		s->next_idx += n;
	return rc;
}

static int32_t
look_at_sizes(struct pop3 *s)
{
	struct pm_msg info[VISIT_SLICE];
	uint64_t left = s->drop.count - s->drop.sized;
	size_t n = left < VISIT_SLICE ? (size_t)left : VISIT_SLICE;
	int32_t rc = maildrop_need_sizes(&s->drop) ? PM_OK : PM_NOMEM;

	if (rc == PM_OK)
		rc = visit_info(&s->visit, &s->caller, s->drop.sized, n, PM_WANT_OCTETS, info);
	for (size_t i = 0; rc == PM_OK && i < n; i++)
		maildrop_add_size(&s->drop, info[i].octets);
	return rc;
}

enum turn
expire_work(struct pop3 *s)
{
	int32_t rc = s->next_idx < s->drop.count ? look_at_dates(s) : look_at_sizes(s);

	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK) {
		pop3_log_call(s, s->storage, "mbox_info", rc, s->visit.text);
		s->next_idx = s->drop.count;
	} else if (s->next_idx < s->drop.count || wants_sizes(s)) {
		(void)caller_ask(&s->caller, s->storage, CALL_CONTINUE);
		return TURN_PERMIT;
	}
	s->work = update_commits(s) ? WORK_COMMIT : WORK_CLOSE;
	return TURN_ON;
}

/* Called under the storage's permit, before the first call of mbox_commit. */
void
expire_count_begin(struct pop3 *s)
{
	uint64_t octets = 0, msgs = maildrop_pending(&s->drop);

	if (!s->limits.domain_counted || msgs == 0)
		return;
	for (uint64_t i = 0; i < s->drop.count; i++)
		if (maildrop_deleted(&s->drop, i) && i < s->drop.sized)
			octets += s->drop.octets[i];
	quota_domain_drop(s->base.conf, &s->limits,
			  s->drop.sized == s->drop.count ? octets : QUOTA_UNKNOWN, msgs, &s->hold);
}
