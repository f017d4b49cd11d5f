/* SPDX-License-Identifier: Apache-2.0 */
#include "account/find.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "account/own.h"
#include "base/secret.h"

void
find_begin(struct find *f, struct conf *c, const char *service, const char *peer, bool outside,
	   const char *whole)
{
	*f = (struct find){.conf = c, .service = service, .peer = peer, .outside = outside};
	snprintf(f->who.whole, sizeof(f->who.whole), "%s", whole);
	recipient_begin(&f->who);
}

static int32_t
find_failed(struct find *f, int32_t rc, const char *text)
{
	snprintf(f->text, sizeof(f->text), "%s", *text ? text : "accounts cannot be looked up now");
	return rc;
}

/* A section answered neither yes nor no. Its code is passed on, for the breaker's sake and the
 * log's, but for those that mean something of find's own: an answer nobody expects is no
 * account. */
static int32_t
find_cannot_tell(struct find *f, int32_t rc, const char *text)
{
	return find_failed(
		f, rc < 0 && rc != PM_MOVED && rc != PM_NOENT && rc != PM_NEXT ? rc : PM_TEMP,
		text);
}

static int32_t
find_enter(struct find *f, struct caller *c, const char *method, struct host_call *call)
{
	struct backend *b = f->auth->backend;
	int32_t rc = caller_enter(c, b, CALL_BEGIN, method, b->limits.call_ms, call);

	f->method = method;
	return rc == PM_OK || rc == PM_AGAIN ? rc : find_failed(f, rc, call->error);
}

/* ---- the name it goes by --------------------------------------------------------------------- */

static void
find_look_again(struct find *f)
{
	const struct pm_str *name = &f->first.user.name;

	f->again = true;
	f->who.blind = NULL;
	f->who.auth = 0;
	memcpy(f->who.name, name->p, name->n);
	f->who.name[name->n] = '\0';
}

void
find_confirm(struct find *f, struct conf *c, const char *service, const char *peer,
	     const struct find_first *first)
{
	find_begin(f, c, service, peer, false, first->asked);
	f->first = *first;
	find_look_again(f);
}

/* The search ends where it was before that name was looked for. */
static int32_t
find_confirmed(struct find *f)
{
	f->again = false;
	f->user = f->first.user;
	f->auth = f->first.auth;
	f->storage = f->first.storage;
	memcpy(f->who.name, f->first.asked, sizeof(f->who.name));
	return PM_OK;
}

static int32_t
find_not_own(struct find *f, const char *whose)
{
	char text[PM_ERROR_MAX + 1];

	snprintf(text, sizeof(text), OWN_LEADS_ELSEWHERE, f->who.name,
		 whose ? OWN_OF_SECTION : OWN_NONE, whose ? whose : "");
	f->auth = f->first.auth;
	f->method = "lookup";
	memcpy(f->who.name, f->first.asked, sizeof(f->who.name));
	return find_failed(f, PM_PERM, text);
}

/* Nobody has the name: but a section that cannot look names up has it, in another spelling. */
static int32_t
find_nobody_again(struct find *f)
{
	if (!f->who.blind)
		return find_not_own(f, NULL);
	if (f->who.blind == f->first.auth && strcasecmp(f->who.name, f->first.asked) == 0)
		return find_confirmed(f);
	f->method = NULL;
	return lookup_end_code(f->who.blind, f->text, sizeof(f->text));
}

/* ---- it is known ----------------------------------------------------------------------------- */

bool
find_keeps_copy(const struct find *f)
{
	const struct pm_user *u = &f->user;
	char name[PM_NAME_MAX + 1];

	for (size_t i = 0; i < u->n_targets && u->n_targets > 1; i++)
		if (chain_name(f->conf, u->targets[i].p, u->targets[i].n, name) &&
		    strcmp(name, f->who.name) == 0)
			return true;
	return false;
}

static int32_t
find_account(struct find *f, struct caller *c)
{
	struct pm_user *u = &f->user;
	char text[PM_ERROR_MAX + 1];
	int32_t rc;

	if (f->again) /* no other section can have it */
		return f->auth == f->first.auth ? find_confirmed(f)
						: find_not_own(f, f->auth->name);
	if (u->n_targets > 0 && !((f->target || !f->outside) && find_keeps_copy(f)))
		return find_failed(f, PM_MOVED, "the name is an alias");
	rc = own_complete(f->auth, f->who.name, c->arena, u);
	if (rc != PM_OK)
		return find_failed(f, rc, rc == PM_PERM ? "its name is too long" : "out of memory");
	f->storage = chain_storage(f->conf, f->auth, u->section.p, u->section.n);
	switch (own_judge(f->conf, f->auth, f->storage, f->who.name, u, text, sizeof(text))) {
	case OWN_YES:
		return PM_OK;
	case OWN_NO:
		return find_failed(f, PM_PERM, text);
	default:
		f->first = (struct find_first){.user = *u, .auth = f->auth, .storage = f->storage};
		memcpy(f->first.asked, f->who.name, sizeof(f->first.asked));
		find_look_again(f);
		return PM_NEXT;
	}
}

/* ---- nobody knows it ------------------------------------------------------------------------- */

static int32_t
find_nobody(struct find *f)
{
	f->method = NULL;
	(void)find_failed(f, PM_NOENT, "there is no such account");
	return lookup_end_code(f->who.blind, f->text, sizeof(f->text));
}

/* Only in a domain of ours does somebody stand in for postmaster. PM_NEXT: he is asked about. */
static int32_t
find_domain_told(struct find *f, bool ours)
{
	f->in_domain = false;
	f->domain_ours = ours;
	if (ours && recipient_stand_in(f->conf, &f->who))
		return PM_NEXT;
	return ours ? find_nobody(f) : find_failed(f, PM_NOENT, "its domain is not ours");
}

/* Sections that cannot tell their domains are asked about all of them: then every domain counts as
 * ours. */
static int32_t
find_in_domain(struct find *f, struct caller *c)
{
	const char *at = strrchr(f->who.whole, '@');
	struct host_call call;
	int32_t rc;

	f->who.auth = at ? chain_next(f->conf, f->who.whole, f->who.auth) : -1;
	if (f->who.auth < 0)
		return find_domain_told(f, !at);
	f->auth = &f->conf->auth[f->who.auth];
	if (f->auth->n_domains > 0 || !f->auth->backend->inst->desc->auth->domain)
		return find_domain_told(f, true); /* it is named there; or nobody can say */
	rc = find_enter(f, c, "domain", &call);
	if (rc != PM_OK)
		return rc;
	rc = host_domain(f->auth->backend->inst, &call, (struct pm_str){at + 1, strlen(at + 1)});
	if (caller_done(c, rc) == PM_AGAIN)
		return caller_ask(c, f->auth->backend, CALL_CONTINUE);
	if (rc == PM_OK || rc == PM_UNSUPPORTED)
		return find_domain_told(f, true);
	if (rc != PM_NOENT)
		return find_cannot_tell(f, rc, call.error);
	f->who.auth++;
	return PM_NEXT;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int32_t
find_ask(struct find *f, struct caller *c)
{
	struct host_call call;
	struct pm_cred cred;
	int32_t rc;

	c->task->who_key = secret_hash(f->who.name, strlen(f->who.name)) | 1;
	rc = find_enter(f, c, "lookup", &call);
	if (rc != PM_OK)
		return rc;
	host_cred_init(&cred);
	cred.service = (struct pm_str){f->service, strlen(f->service)};
	cred.authcid = (struct pm_str){f->who.name, strlen(f->who.name)};
	cred.peer = (struct pm_str){f->peer, strlen(f->peer)};
	rc = caller_done(c, host_lookup(f->auth->backend->inst, &call, &cred, &f->user));
	if (rc == PM_AGAIN)
		return caller_ask(c, f->auth->backend, CALL_CONTINUE);
	switch (lookup_judge(rc, f->auth, &f->who.blind)) {
	case LOOKUP_FOUND:
		return find_account(f, c);
	case LOOKUP_NEXT:
		f->who.auth++;
		return PM_NEXT;
	default:
		return find_cannot_tell(f, rc, call.error);
	}
}

static int32_t
find_by_name(struct find *f, struct caller *c)
{
	bool outside = f->outside && !f->again;

	f->who.auth = outside ? recipient_next(f->conf, &f->who)
			      : chain_next(f->conf, f->who.name, f->who.auth);
	if (f->who.auth >= 0) {
		f->auth = &f->conf->auth[f->who.auth];
		return find_ask(f, c);
	}
	if (f->again)
		return find_nobody_again(f);
	if (!outside)
		return find_nobody(f);
	f->in_domain = true;
	f->who.auth = 0;
	return PM_NEXT;
}

int32_t
find_step(struct find *f, struct caller *c)
{
	int32_t rc;

	do
		rc = f->in_domain ? find_in_domain(f, c) : find_by_name(f, c);
	while (rc == PM_NEXT);
	return rc;
}
