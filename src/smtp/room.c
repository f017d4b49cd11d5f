/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is there room for a message? MAIL looks at the volumes as a whole, RCPT at the volume and quota
 * of the recipient; after the last octet the quota is checked again with the real size, and the
 * domain's count. mailbox/quota.h tells who counts what. A target whose quota is checked here has a
 * dest of its own, so that it can be left out.
 */
#include "smtp/room.h"

#include <string.h>

#include "base/log.h"
#include "mailbox/quota_domain.h"
#include "mailbox/volume.h"
#include "mailbox/warn.h"
#include "smtp/trace.h"

#define TEXT_MAX 200

static struct dreply
volume_answer(int32_t rc)
{
	return rc == PM_NOSPACE
		       ? (struct dreply){452, "4.3.1", "no space left for mail, try again later"}
		       : (struct dreply){451, "4.3.0",
					 "the mail volume is not there, try again later"};
}

static void
say_volume(const char *text)
{
	static struct log_rate rate;
	uint64_t held;

	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_ERROR, "volume",
			"new mail is not taken: %s (%llu more times since)", text,
			(unsigned long long)held);
}

/* The size that the client announced; 0: none. */
static uint64_t
room_announced(const struct envelope *e)
{
	return e->size == UINT64_MAX ? 0 : e->size;
}

bool
room_at_door(struct dsession *s, uint64_t octets, struct dreply *ret)
{
	char text[TEXT_MAX] = "";
	enum volume_state state =
		volume_door(s->base.conf, octets == UINT64_MAX ? 0 : octets, text, sizeof(text));

	if (state == VOLUME_OK)
		return true;
	say_volume(text);
	*ret = volume_answer(volume_code(state));
	return false;
}

/* ---- RCPT ------------------------------------------------------------------------------------ */

bool
room_wanted(struct dsession *s, const struct conf_section *storage, struct pm_user *u,
	    struct room **ret)
{
	struct quota_limits limits;

	*ret = NULL;
	quota_fill(s->base.conf, u);
	quota_limits(storage->backend, u, &limits);
	if (!storage->vol && !quota_wants_usage(s->base.conf, &limits) && !limits.domain_counted)
		return true;
	*ret = arena_alloc(&s->mail.arena, sizeof(**ret));
	if (*ret)
		(*ret)->limits = limits;
	return *ret != NULL;
}

bool
room_is_counted(const struct room *r)
{
	return quota_wants_stat(&r->limits) || r->limits.domain_counted;
}

static struct dreply
room_full(const struct dsession *s, const char *text)
{
	return s->base.conf->quota_over == CONF_QUOTA_REFUSE ? (struct dreply){552, "5.2.2", text}
							     : (struct dreply){452, "4.2.2", text};
}

int32_t
room_ask(struct dsession *s, const struct conf_section *storage, const struct pm_user *u,
	 struct room *r, struct dreply *ret)
{
	struct backend *b = storage->backend;
	char text[TEXT_MAX] = "";
	struct host_call call;
	int32_t rc = caller_enter(&s->caller, b, r->asked ? CALL_CONTINUE : CALL_BEGIN, "box_stat",
				  b->limits.scan_ms, &call);

	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK) {
		*ret = dreply_of(rc, false);
		return rc;
	}
	rc = volume_enter(storage->vol, room_announced(&s->mail), NULL, text, sizeof(text));
	if (rc != PM_OK) {
		say_volume(text);
		*ret = volume_answer(rc);
		return rc;
	}
	r->before = (struct pm_stat){.size = sizeof(r->before)};
	if (quota_wants_usage(s->base.conf, &r->limits)) {
		rc = caller_done(&s->caller, host_box_stat(b->inst, &call, u, &r->before));
		r->asked = true;
	}
	if (rc == PM_AGAIN)
		return caller_ask(&s->caller, b, CALL_CONTINUE);
	if (rc != PM_OK && rc != PM_NOENT) {
		caller_log(&s->caller, b, "box_stat", rc, call.error, u->name.p, u->name.n);
		*ret = dreply_of(rc, false);
		return rc;
	}
	if (quota_check(&r->limits, &r->before, room_announced(&s->mail), r->text) == PM_OK)
		return PM_OK;
	*ret = room_full(s, r->text);
	return PM_QUOTA;
}

/* ---- after the last octet -------------------------------------------------------------------- */

/* Calls fn for each target of a dest that is counted here. */
static int32_t
room_each(struct dsession *s, const struct dest *d,
	  int32_t (*fn)(struct dsession *s, struct target *t))
{
	struct envelope *e = &s->mail;
	int32_t rc = PM_OK;

	for (size_t i = 0; i < e->n_targets && rc == PM_OK; i++)
		if (&e->dests[e->targets[i].dest] == d && e->targets[i].room)
			rc = fn(s, &e->targets[i]);
	return rc;
}

/* As much as the mailbox will hold: the lines that we add are deleted with the message, and are
 * counted then. */
static uint64_t
octets_of(const struct dsession *s, const struct target *t)
{
	char text[TRACE_MAX];

	return s->mail.content.octets + trace_head(s, t, text) + trace_received(s, text);
}

static int32_t
take(struct dsession *s, struct target *t)
{
	uint64_t octets = octets_of(s, t);
	struct room *r = t->room;
	int32_t rc = quota_check(&r->limits, &r->before, octets, r->text);

	if (rc == PM_OK && r->hold.domain[0] == '\0')
		rc = quota_domain_take(s->base.conf, &r->limits, octets, &r->hold, r->text);
	return rc;
}

static int32_t
look_at_usage(struct dsession *s, struct target *t)
{
	uint64_t octets = octets_of(s, t);
	struct room *r = t->room;
	struct pm_stat now = r->before;

	if (t->rc != PM_OK)
		return PM_OK;
	now.count++;
	now.octets += octets;
	if (quota_after(s->base.conf, &r->limits, &t->user, &r->before, octets))
		warn_send(s->base.conf, s->mail.dests[t->dest].backend, &t->user, &r->limits, &now);
	return PM_OK;
}

static int32_t
give_back(struct dsession *s, struct target *t)
{
	quota_domain_give_back(s->base.conf, &t->room->hold);
	return PM_OK;
}

int32_t
room_take(struct dsession *s, const struct dest *d)
{
	return room_each(s, d, take);
}

void
room_filled(struct dsession *s, const struct dest *d)
{
	(void)room_each(s, d, look_at_usage);
}

void
room_give_back(struct dsession *s, const struct dest *d)
{
	(void)room_each(s, d, give_back);
}
