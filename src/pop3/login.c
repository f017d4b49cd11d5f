/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name and a secret to an account: the penalty, then the chain of auth sections; open.c
 * opens the maildrop. A failure of a backend is [SYS/TEMP] and ends the chain, since going on could
 * give a name to another account. A refusal is [AUTH] and waits for the next whole second, so that
 * its timing tells nothing.
 */
#include "pop3/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "account/credcache.h"
#include "account/find.h"
#include "account/guard.h"
#include "account/lookup.h"
#include "account/own.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stats.h"
#include "host/answer.h"
#include "pop3/open.h"

#define REFUSED "user name or password is wrong"

void
login_drop(struct pop3 *s)
{
	struct login *l = s->login;

	if (!l)
		return;
	if (l->counted)
		guard_end(l->name, s->base.peer->key, GUARD_UNDECIDED, mono_ms());
	if (s->work == WORK_CLAIM && s->storage)
		registry_cancel(s->storage->section, s->user.key.p, s->user.key.n,
				slot_get_token(s->base.task.slot));
	if (l->secret)
		secret_wipe(l->secret, l->secret_n);
	free(l->secret);
	free(l->authzid);
	free(l->find);
	secret_wipe(l, sizeof(*l));
	free(l);
	s->login = NULL;
}

static void
guard_tell(struct pop3 *s, enum guard_result r)
{
	if (s->login->counted)
		guard_end(s->login->name, s->base.peer->key, r, mono_ms());
	s->login->counted = false;
}

enum turn
login_over(struct pop3 *s)
{
	s->work = WORK_NONE;
	login_drop(s);
	s->cached = NULL;
	backend_put(s->storage);
	s->storage = NULL;
	memset(&s->user, 0, sizeof(s->user));
	talk_publish(&s->base.talk);
	return TURN_ON;
}

enum turn
login_failed_temp(struct pop3 *s, int32_t rc, const char *reason, const char *detail)
{
	stat_add(STAT_LOGIN_TEMP, 1);
	guard_tell(s, GUARD_UNDECIDED);
	pop3_log_refused(s, s->login->name, s->login->mech, reason, detail);
	(void)pop3_result(s, rc, "login");
	return login_over(s);
}

/* The [AUTH] reply is sent at the next whole second. */
static enum turn
login_denied(struct pop3 *s, const char *reason)
{
	stat_add(STAT_LOGIN_DENIED, 1);
	guard_tell(s, GUARD_DENIED);
	pop3_log_refused(s, s->login->name, s->login->mech, reason, NULL);
	s->work = WORK_DENIED;
	s->base.talk.resume_ms = guard_grid(s->login->started_ms, mono_ms());
	return TURN_TIMER;
}

static enum turn
denied_due(struct pop3 *s)
{
	if (mono_ms() < s->base.talk.resume_ms)
		return TURN_TIMER;
	s->base.talk.login_by_ms += s->base.talk.resume_ms - s->login->started_ms;
	s->failed_logins++;
	(void)pop3_err(s, CODE_AUTH, REFUSED);
	(void)login_over(s);
	if (s->failed_logins >= s->base.conf->max_failed_logins)
		return talk_close(&s->base.talk, "too many failed logins");
	return TURN_ON;
}

/* ---- the auth chain -------------------------------------------------------------------------- */

static enum turn
chain_go(struct pop3 *s, int from)
{
	s->login->auth = chain_next(s->base.conf, s->login->name, from);
	if (s->login->auth < 0)
		return login_denied(s, "unknown user");
	s->work = WORK_VERIFY;
	return TURN_ON;
}

static enum turn
guard_ask(struct pop3 *s)
{
	struct login *l = s->login;

	switch (guard_begin(l->name, s->base.peer->key, mono_ms(), &s->base.talk.resume_ms)) {
	case GUARD_GO:
		l->counted = true;
		return chain_go(s, 0);
	case GUARD_WAIT:
		s->work = WORK_PENALTY;
		return TURN_TIMER;
	default:
		return login_failed_temp(s, PM_TEMP, "too many logins of this name at once", NULL);
	}
}

static enum turn
penalty_due(struct pop3 *s)
{
	if (mono_ms() < s->base.talk.resume_ms)
		return TURN_TIMER;
	s->base.talk.login_by_ms += mono_ms() - s->login->started_ms;
	s->login->started_ms = mono_ms();
	return guard_ask(s);
}

enum turn
login_start(struct pop3 *s, const char *name, size_t name_n, const char *mech, uint32_t kind,
	    char *secret, size_t secret_n)
{
	struct login *l = calloc(1, sizeof(*l));

	if (!l) {
		secret_wipe(secret, secret_n);
		free(secret);
		return pop3_result(s, PM_NOMEM, "login");
	}
	s->login = l;
	l->mech = mech;
	l->kind = kind;
	l->secret = secret;
	l->secret_n = secret_n;
	l->started_ms = mono_ms();
	if (!chain_name(s->base.conf, name, name_n, l->name)) {
		snprintf(l->name, sizeof(l->name), "%.*s", (int)(name_n < 64 ? name_n : 64), name);
		return login_denied(s, "not a possible name");
	}
	return guard_ask(s);
}

static void
login_cred_fill(struct pop3 *s, struct pm_cred *c)
{
	const struct login *l = s->login;

	host_cred_init(c);
	c->kind = l->kind;
	c->flags = pop3_encrypted(s) ? PM_CREDF_TLS : 0;
	c->service = (struct pm_str){"pop3", 4};
	c->mech = (struct pm_str){l->mech, strlen(l->mech)};
	c->authcid = (struct pm_str){l->name, strlen(l->name)};
	if (l->authzid)
		c->authzid = (struct pm_str){l->authzid, strlen(l->authzid)};
	if (l->kind == PM_CRED_APOP) {
		c->challenge = (struct pm_str){s->apop_stamp, strlen(s->apop_stamp)};
		c->digest = (struct pm_str){l->secret, l->secret_n};
	} else {
		c->secret = (struct pm_str){l->secret, l->secret_n};
	}
	c->peer = (struct pm_str){s->base.peer->host, strlen(s->base.peer->host)};
	c->local = (struct pm_str){s->base.listener->address, strlen(s->base.listener->address)};
}

/* ---- accepted -------------------------------------------------------------------------------- */

static enum turn
login_enter(struct pop3 *s)
{
	const struct conf_section *auth = &s->base.conf->auth[s->login->auth];

	guard_tell(s, GUARD_ACCEPTED);
	secret_wipe(s->login->secret, s->login->secret_n);
	s->auth_section = auth->name;
	s->storage = backend_ref(
		chain_storage(s->base.conf, auth, s->user.section.p, s->user.section.n)->backend);
	return open_begin(s);
}

static enum turn
login_not_own(struct pop3 *s, int32_t rc, const char *text)
{
	return login_failed_temp(s, rc,
				 rc == PM_PERM ? "whose mailbox it is cannot be told"
					       : "accounts cannot be checked now",
				 text);
}

/* Another account may have this name: the sections are asked, as for mail. */
static enum turn
login_confirm(struct pop3 *s)
{
	struct find *f = s->login->find;
	int32_t rc = find_step(f, &s->caller);

	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	return rc == PM_OK ? login_enter(s) : login_not_own(s, rc, f->text);
}

static enum turn
login_ask_name(struct pop3 *s, const struct conf_section *auth, const struct conf_section *storage)
{
	struct find_first first = {.user = s->user, .auth = auth, .storage = storage};
	struct login *l = s->login;

	l->find = calloc(1, sizeof(*l->find));
	if (!l->find)
		return login_failed_temp(s, PM_NOMEM, "out of memory", NULL);
	memcpy(first.asked, l->name, sizeof(first.asked));
	find_confirm(l->find, s->base.conf, "pop3", s->base.peer->host, &first);
	s->work = WORK_CONFIRM;
	return TURN_ON;
}

static enum turn
login_accepted(struct pop3 *s, const struct pm_user *u, const struct conf_section *auth)
{
	const struct conf_section *storage;
	const char *lacks = chain_lacks(u, wall_ms());
	char text[PM_ERROR_MAX + 1];
	int32_t rc;

	if (lacks)
		return login_denied(s, lacks);
	storage = chain_storage(s->base.conf, auth, u->section.p, u->section.n);
	if (!storage)
		return login_failed_temp(
			s, PM_PERM, "the account names a storage section that is not there", NULL);
	s->user = *u;
	rc = own_complete(auth, s->login->name, &s->base.arena, &s->user);
	if (rc != PM_OK)
		return login_failed_temp(
			s, rc, rc == PM_PERM ? "its name is too long" : "out of memory", NULL);
	switch (own_judge(s->base.conf, auth, storage, s->login->name, &s->user, text,
			  sizeof(text))) {
	case OWN_YES:
		return login_enter(s);
	case OWN_NO:
		return login_not_own(s, PM_PERM, text);
	default:
		return login_ask_name(s, auth, storage);
	}
}

/* Acts on a section's answer. */
static enum turn
login_judge(struct pop3 *s, int32_t rc, const struct pm_user *u, const char *error)
{
	const struct conf_section *auth = &s->base.conf->auth[s->login->auth];

	switch (lookup_judge_login(rc)) {
	case LOOKUP_FOUND:
		return login_accepted(s, u, auth);
	case LOOKUP_NEXT:
		return chain_go(s, s->login->auth + 1);
	case LOOKUP_UNKNOWN:
		return login_denied(s, rc == PM_UNSUPPORTED
					       ? "the auth module cannot check this mechanism"
				       : error[0] ? error
						  : "wrong name or password");
	default:
		return login_failed_temp(s, rc, "accounts cannot be checked now", error);
	}
}

/* Does the section's cache know the answer? No permit, no call. */
static bool
login_remembered(struct pop3 *s, struct credcache *cache, enum turn *ret)
{
	char error[PM_ERROR_MAX + 1] = "";
	struct pm_cred cred;
	struct pm_user user;
	int32_t rc;

	login_cred_fill(s, &cred);
	if (!credcache_find(cache, &cred, mono_ms(), &s->base.arena, &rc, &user, error)) {
		stat_add(STAT_CACHE_MISSED, cache != NULL);
		return false;
	}
	stat_add(rc == PM_OK ? STAT_CACHE_ACCEPTED : STAT_CACHE_REFUSED, 1);
	s->cached = "yes";
	*ret = login_judge(s, rc, &user, error);
	return true;
}

/* The section cannot be asked: was this user let in not long ago? */
static bool
last_known_good(struct pop3 *s, const struct backend *b, int32_t rc, enum turn *ret)
{
	/* an outage concerns everybody; each login has a log line of its own besides */
	static struct log_rate rate;
	struct pm_cred cred;
	struct pm_user user;
	uint64_t held = 0;
	int64_t age_ms;

	login_cred_fill(s, &cred);
	if (!credcache_last_good(b->cache, &cred, mono_ms(), &s->base.arena, &user, &age_ms))
		return false;
	stat_add(STAT_LAST_GOOD, 1);
	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "last-known-good",
			"section %s cannot be asked (%s): '%s' comes in by a password accepted "
			"%lld s ago; %llu more since "
			"the last such line",
			b->section, host_code_name(rc), s->login->name, (long long)age_ms / 1000,
			(unsigned long long)held);
	s->cached = "last-known-good";
	*ret = login_judge(s, PM_OK, &user, "");
	return true;
}

static enum turn
login_verify(struct pop3 *s)
{
	struct backend *b = s->base.conf->auth[s->login->auth].backend;
	uint64_t epoch = credcache_epoch(b->cache);
	struct host_call call;
	struct pm_cred cred;
	struct pm_user user;
	enum turn m;
	int32_t rc;

	if (s->base.task.verdict == VERDICT_NONE) {
		s->cached = NULL;
		if (login_remembered(s, b->cache, &m))
			return m;
		s->base.task.who_key = secret_hash(s->login->name, strlen(s->login->name)) | 1;
	}
	rc = caller_enter(&s->caller, b, CALL_BEGIN, "verify", b->limits.call_ms, &call);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK) {
		if (rc != PM_CANCELLED && last_known_good(s, b, PM_TEMP, &m))
			return m;
		return login_failed_temp(s, rc, "accounts cannot be checked now", call.error);
	}
	login_cred_fill(s, &cred);
	rc = caller_done(&s->caller, host_verify(b->inst, &call, &cred, &user));
	credcache_learn(b->cache, epoch, &cred, rc, &user,
			rc == PM_OK && !chain_lacks(&user, wall_ms()), call.error, mono_ms());
	if (rc < 0 && lookup_judge_login(rc) == LOOKUP_CANNOT_TELL)
		pop3_log_call(s, b, "verify", rc, call.error);
	if (s->base.task.backend_failed && last_known_good(s, b, rc, &m))
		return m;
	return login_judge(s, rc, &user, call.error);
}

/* ---- its work -------------------------------------------------------------------------------- */

enum turn
login_work(struct pop3 *s)
{
	switch ((enum pop3_work)s->work) {
	case WORK_PENALTY:
		return penalty_due(s);
	case WORK_VERIFY:
		return login_verify(s);
	case WORK_CONFIRM:
		return login_confirm(s);
	case WORK_DENIED:
		return denied_due(s);
	default:
		return open_work(s);
	}
}
