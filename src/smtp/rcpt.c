/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out who a recipient is (account/find.h). An alias is expanded one level: a target that is
 * an alias again is a circle or a mistake, and a target elsewhere would make us a relay. But one
 * that names itself among its targets is a mailbox that keeps a copy: that gets the mail, and what
 * cannot be done about its other targets is left to the MTA in front, which knows them, too. A
 * section that cannot answer ends the search with 451: going on could give one user's mail to
 * another.
 */
#include "smtp/rcpt.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account/chain.h"
#include "account/find.h"
#include "account/lookup.h"
#include "base/log.h"
#include "base/stats.h"
#include "smtp/room.h"

/* ---- answers --------------------------------------------------------------------------------- */

static enum turn
rcpt_over(struct dsession *s, unsigned code, const char *enhanced, const char *text)
{
	const struct dreply r = {(uint16_t)code, enhanced, text};
	struct lookup *l = s->lookup;

	if (l->rcpt && code >= 300)
		envelope_untake_rcpt(&s->mail, l->n_targets_before);
	stat_add(STAT_RCPTS_ACCEPTED, code < 300);
	if (code >= 300) {
		struct log_line line;

		stat_add(code >= 500 ? STAT_RCPTS_REFUSED : STAT_RCPTS_DEFERRED, 1);
		log_begin(&line, code >= 500 ? LOG_LVL_INFO : LOG_LVL_NOTICE, "recipient-refused");
		log_cstr(&line, "to", l->given);
		log_cstr(&line, "from", s->mail.sender);
		log_num(&line, "code", code);
		log_cstr(&line, "enhanced", enhanced);
		log_cstr(&line, "name", l->find.who.name);
		log_cstr(&line, "peer", s->base.peer->text);
		log_num(&line, "session", s->base.task.id);
		log_textf(&line, "%s", text);
		log_end(&line);
	}
	(void)dsession_say_of(s, &r, l->given);
	s->work = DWORK_NONE;
	dsession_drop_lookup(s);
	return TURN_ON;
}

static enum turn
rcpt_no_memory(struct dsession *s)
{
	return rcpt_over(s, 452, "4.3.0", "out of memory, try again later");
}

static enum turn
ask_whole(struct dsession *s, const char *whole)
{
	find_begin(&s->lookup->find, s->base.conf, dsession_protocol(s), s->base.peer->host, true,
		   whole);
	s->work = DWORK_LOOKUP;
	return TURN_ON;
}

/* ---- a mailbox is found ---------------------------------------------------------------------- */

static enum turn rcpt_next_target(struct dsession *s);

static struct rcpt *
rcpt_new(struct dsession *s, size_t max_targets)
{
	struct lookup *l = s->lookup;
	struct arena *a = &s->mail.arena;
	const char *given = arena_dup(a, l->given, strlen(l->given));
	const char *whole = arena_dup(a, l->find.who.whole, strlen(l->find.who.whole));

	l->n_targets_before = s->mail.n_targets;
	return given && whole ? envelope_add_rcpt(&s->mail, given, whole, max_targets) : NULL;
}

/* The mailbox may have this message. */
static enum turn
rcpt_admit(struct dsession *s)
{
	struct lookup *l = s->lookup;
	bool alone = l->found.room && room_is_counted(l->found.room);
	size_t target;

	if (!l->rcpt && !(l->rcpt = rcpt_new(s, 1)))
		return rcpt_no_memory(s);
	if (!envelope_add_target(&s->mail, l->storage->backend, &l->found, alone, &target) ||
	    !envelope_rcpt_target(l->rcpt, target))
		return rcpt_no_memory(s);
	return l->targets ? rcpt_next_target(s) : rcpt_over(s, 250, "2.1.5", "recipient ok");
}

static enum turn
ask_room(struct dsession *s)
{
	struct lookup *l = s->lookup;
	struct dreply reply;
	int32_t rc;

	rc = room_ask(s, l->storage, &l->found.user, l->found.room, &reply);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	return rc == PM_OK ? rcpt_admit(s) : rcpt_over(s, reply.code, reply.enhanced, reply.text);
}

static enum turn
rcpt_mailbox(struct dsession *s)
{
	struct lookup *l = s->lookup;
	const struct conf_section *storage = l->find.storage;
	struct pm_user *u = &l->find.user;
	struct arena *a = &s->mail.arena;
	const char *lacks = recipient_lacks(u), *address,
		   *account = arena_dup(a, l->find.who.name, strlen(l->find.who.name));
	char quoted[ADDRESS_QUOTED_MAX + 1];

	if (lacks)
		return rcpt_over(s, 550, "5.2.1", lacks);
	if (!storage || !storage->backend->inst->desc->delivery) {
		log_msg(LOG_LVL_ERROR, "delivery", "auth %s, account '%s': %s", l->find.auth->name,
			l->find.who.name,
			storage ? "its storage's module takes no mail"
				: "it names a storage section that is not there");
		return rcpt_over(s, 451, "4.3.5",
				 "this mailbox is configured wrongly; the postmaster can see why");
	}
	if ((s->mail.utf8 || l->utf8) && !storage->backend->can_utf8)
		return rcpt_over(s, 550, "5.6.7",
				 "this mailbox's store takes no internationalized mail (SMTPUTF8)");
	address = arena_dup(a, quoted,
			    address_quote(l->find.who.whole, strlen(l->find.who.whole), quoted));
	if (!account || !address)
		return rcpt_no_memory(s);
	l->storage = storage;
	l->found = (struct target){.address = address, .account = account};
	if (!room_wanted(s, storage, u, &l->found.room))
		return rcpt_no_memory(s);
	l->found.user = *u;
	if (!l->found.room)
		return rcpt_admit(s);
	s->work = DWORK_ROOM;
	return TURN_ON; /* this permit goes back; the store has a gate of its own */
}

/* ---- aliases --------------------------------------------------------------------------------- */

static enum turn
rcpt_next_target(struct dsession *s)
{
	struct lookup *l = s->lookup;
	char whole[PM_NAME_MAX + 1];
	const struct pm_str *t;

	if (l->at == l->n_targets && l->rcpt->n_targets > 0)
		return rcpt_over(s, 250, "2.1.5", "recipient ok");
	if (l->at == l->n_targets)
		return rcpt_over(s, 550, "5.1.1",
				 "the alias leads to no mailbox that does exist here");
	t = &l->targets[l->at++];
	if (!chain_name(s->base.conf, t->p, t->n, whole)) {
		log_msg(LOG_LVL_ERROR, "alias", "'%s': target '%.*s' is not a possible address",
			l->alias, (int)(t->n < 320 ? t->n : 320), t->p);
		return rcpt_over(
			s, 451, "4.3.5",
			"the alias leads to an impossible address; the postmaster can see which");
	}
	(void)ask_whole(s, whole);
	l->find.target = true;
	return TURN_ON;
}

/* One target of a mailbox that keeps a copy. */
static enum turn
rcpt_pass_over(struct dsession *s, const char *why)
{
	struct lookup *l = s->lookup;

	log_msg(LOG_LVL_INFO, "alias",
		"'%s' keeps a copy and sends its mail on to '%s', which %s: passed over, the MTA "
		"in "
		"front sees to it",
		l->alias, l->find.who.whole, why);
	return rcpt_next_target(s);
}

static enum turn
rcpt_alias(struct dsession *s)
{
	struct lookup *l = s->lookup;
	const struct pm_user *u = &l->find.user;

	if (l->targets && l->keeps)
		return rcpt_pass_over(s, "is an alias again");
	if (l->targets && strcmp(l->find.who.name, l->alias) == 0)
		return rcpt_over(s, 550, "5.4.6", "the alias leads to itself");
	if (l->targets) {
		log_msg(LOG_LVL_WARNING, "alias",
			"'%s': its target '%s' is an alias again; one level is followed", l->alias,
			l->find.who.name);
		return rcpt_over(s, 550, "5.4.6",
				 "the alias leads to another alias, perhaps in a circle");
	}
	if (u->n_targets > RECIPIENT_TARGETS_MAX)
		return rcpt_over(s, 451, "4.3.5", "the alias has too many targets");
	l->rcpt = rcpt_new(s, u->n_targets);
	if (!l->rcpt)
		return rcpt_no_memory(s);
	memcpy(l->alias, l->find.who.name, sizeof(l->alias));
	l->targets = u->targets;
	l->n_targets = u->n_targets;
	l->keeps = find_keeps_copy(&l->find);
	return rcpt_next_target(s);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* For unknown_recipient = badmail. */
static enum turn
keep_unknown(struct dsession *s)
{
	struct rcpt *r = rcpt_new(s, 1);

	if (!r)
		return rcpt_no_memory(s);
	r->kept = true;
	return rcpt_over(s, 250, "2.1.5", "recipient ok");
}

/* Nobody knows the name, and a section that was asked cannot look names up. */
static enum turn
rcpt_blind(struct dsession *s)
{
	static struct log_rate rate; /* each recipient has a log line of its own besides */
	const struct recipient *w = &s->lookup->find.who;
	uint64_t held = 0;

	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_ERROR, "delivery",
			"auth section %s " LOOKUP_BLIND
			", and no other section knows '%s': its mail waits at the sender (451); "
			"%llu more since the "
			"last such line",
			w->blind->name, w->name, (unsigned long long)held);
	return rcpt_over(
		s, 451, "4.3.5",
		"whether there is such a mailbox cannot be told; the postmaster can see why");
}

static enum turn
rcpt_unknown(struct dsession *s)
{
	struct lookup *l = s->lookup;
	bool domain_ours = l->find.domain_ours;

	if (l->targets && l->keeps)
		return rcpt_pass_over(s, domain_ours ? "does not exist" : "is elsewhere");
	if (l->targets && !domain_ours)
		return rcpt_over(s, 550, "5.7.1",
				 "the alias leads elsewhere; this server does not relay");
	if (l->targets)
		return rcpt_over(s, 550, "5.1.1",
				 "the alias leads to a mailbox that does not exist");
	if (!domain_ours)
		return rcpt_over(s, 550, "5.1.2", "mail for this domain is not taken here");
	if (s->base.conf->delivery.unknown_recipient == CONF_UNKNOWN_BADMAIL)
		return keep_unknown(s);
	return rcpt_over(s, 550, "5.1.1", "there is no such mailbox here");
}

static enum turn
rcpt_find(struct dsession *s)
{
	struct find *f = &s->lookup->find;
	int32_t rc = find_step(f, &s->caller);

	switch (rc) {
	case PM_AGAIN:
		return TURN_PERMIT;
	case PM_OK:
		return rcpt_mailbox(s);
	case PM_MOVED:
		return rcpt_alias(s);
	case PM_NOENT:
		return rcpt_unknown(s);
	default:
		break;
	}
	if (!f->method)
		return rcpt_blind(s);
	caller_log(&s->caller, f->auth->backend, f->method, rc, f->text, f->who.name,
		   strlen(f->who.name));
	return rcpt_over(s, 451, "4.4.3", "accounts cannot be looked up now, try again later");
}

enum turn
rcpt_work(struct dsession *s)
{
	if (s->work == DWORK_ROOM)
		return ask_room(s);
	return rcpt_find(s);
}

enum turn
rcpt_start(struct dsession *s, const struct address *a)
{
	char whole[PM_NAME_MAX + 1];

	s->lookup = calloc(1, sizeof(*s->lookup));
	if (!s->lookup)
		return dsession_say(s, 452, "4.3.0", "out of memory, try again later");
	(void)address_quote(a->text, a->n, s->lookup->given);
	s->lookup->utf8 = a->utf8;
	if (a->literal)
		return rcpt_over(s, 550, "5.1.2", "mail for address literals is not taken here");
	if (!chain_name(s->base.conf, a->text, a->n, whole))
		return rcpt_over(s, 553, "5.1.3", "this is not a possible address");
	return ask_whole(s, whole);
}
