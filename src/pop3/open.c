/* SPDX-License-Identifier: Apache-2.0 */
/* The maildrop of an account that was accepted: its claim in the registry, mbox_open, its table. */
#include "pop3/open.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/stats.h"
#include "mailbox/quota.h"
#include "pop3/login.h"

#define CLAIM_WAIT_MS 5000 /* for a session that was asked to leave */
#define SOON_WAIT_MS 2000  /* for the background to give way */

static _Atomic uint64_t tables_bytes; /* of all sessions */

static enum turn
in_use(struct pop3 *s, const char *by)
{
	stat_add(STAT_IN_USE, 1);
	pop3_log_refused(s, s->login->name, s->login->mech, "mailbox in use", by);
	(void)pop3_result(s, PM_BUSY, "login");
	return login_over(s);
}

/* Parks until the maildrop is released: this wait, and no other. */
static enum turn
wait_for_claim(struct pop3 *s, int64_t now_ms, int64_t ms, const char *holder)
{
	if (!s->login->waits_for)
		s->base.talk.resume_ms = now_ms + ms;
	s->login->waits_for = holder;
	return TURN_TIMER;
}

static enum turn
open_claim(struct pop3 *s)
{
	int64_t now_ms = mono_ms();
	bool may_wait = !s->login->waits_for || now_ms < s->base.talk.resume_ms;

	switch (registry_claim(s->storage->section, s->user.key.p, s->user.key.n,
			       slot_get_token(s->base.task.slot), s->base.peer->key,
			       s->base.conf->takeover_ms, now_ms, may_wait, &s->claim)) {
	case REGISTRY_MINE:
		s->work = WORK_OPEN;
		return TURN_ON;
	case REGISTRY_WAIT:
		return wait_for_claim(s, now_ms, CLAIM_WAIT_MS, "another session of this server");
	case REGISTRY_SOON:
		return wait_for_claim(s, now_ms, SOON_WAIT_MS,
				      "work of this server that does not give way");
	case REGISTRY_HELD:
		registry_cancel(s->storage->section, s->user.key.p, s->user.key.n,
				slot_get_token(s->base.task.slot));
		return in_use(s, s->login->waits_for ? s->login->waits_for
						     : "another session of this server");
	default:
		return login_failed_temp(s, PM_NOMEM, "out of memory", NULL);
	}
}

/* Allocates the message table, within the limit for all sessions together. */
static bool
table_new(struct pop3 *s, uint64_t count)
{
	uint64_t bytes = maildrop_bytes(count);

	if (atomic_fetch_add(&tables_bytes, bytes) + bytes > s->base.conf->tables_max ||
	    !maildrop_init(&s->drop, count)) {
		atomic_fetch_sub(&tables_bytes, bytes);
		return false;
	}
	s->table_bytes = bytes;
	return true;
}

void
open_table_free(struct pop3 *s)
{
	atomic_fetch_sub(&tables_bytes, s->table_bytes);
	s->table_bytes = 0;
}

static void
claim_drop(struct pop3 *s)
{
	registry_release(s->claim);
	s->claim = NULL;
}

static enum turn
open_done(struct pop3 *s, uint64_t count)
{
	char text[64];

	if (!table_new(s, count)) {
		/* the mailbox is given back as at any other end: under a permit */
		(void)pop3_result(s, PM_NOMEM, "login");
		pop3_log_refused(s, s->login->name, s->login->mech,
				 "no memory for the message table: tables_max", NULL);
		(void)stream_end(&s->base.io, "out of memory");
		s->work = WORK_NONE;
		return TURN_ON;
	}
	s->state = STATE_TRANS;
	s->base.talk.login_by_ms = 0;
	s->work = WORK_NONE;
	s->base.task.who_key = s->base.peer->key;
	stat_add(STAT_LOGIN_OK, 1);
	pop3_log_login(s);
	login_drop(s);
	snprintf(text, sizeof(text), "%llu message%s", (unsigned long long)count,
		 count == 1 ? "" : "s");
	(void)pop3_ok(s, text);
	talk_publish(&s->base.talk);
	return TURN_ON;
}

static enum turn
open_mailbox(struct pop3 *s)
{
	struct visit *v = &s->visit;
	int32_t rc;

	if (!v->mbox) {
		v->store = s->storage;
		/* a store that creates the mailbox now must know its domain */
		quota_fill(s->base.conf, &s->user);
	}
	rc = visit_open(v, &s->caller, &s->user, PM_OPEN_EXCLUSIVE);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc == PM_OK)
		return open_done(s, v->count);
	if (v->mbox) {
		/* it was given up during the scan: the handle goes back when the session ends */
		(void)pop3_result(s, rc, "login");
		(void)stream_end(&s->base.io, "the mailbox could not be opened in time");
		s->work = WORK_NONE;
		return TURN_ON;
	}
	claim_drop(s);
	if (rc == PM_BUSY)
		return in_use(s, "another program or host");
	pop3_log_call(s, s->storage, "mbox_open", rc, v->text);
	return login_failed_temp(s, rc, "the mailbox cannot be opened", v->text);
}

enum turn
open_begin(struct pop3 *s)
{
	s->work = WORK_CLAIM;
	s->base.talk.resume_ms = mono_ms() + CLAIM_WAIT_MS;
	return TURN_ON;
}

enum turn
open_work(struct pop3 *s)
{
	return s->work == WORK_CLAIM ? open_claim(s) : open_mailbox(s);
}
