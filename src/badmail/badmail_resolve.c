/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose mail is it by now? The name an item was kept for may have become an alias, or be known only
 * without its tag: it is resolved as RCPT does it (rcpt.c). An alias is good only if all its
 * targets are mailboxes of ours.
 */
#include <stdio.h>
#include <string.h>

#include "account/address.h"
#include "account/chain.h"
#include "account/lookup.h"
#include "badmail/badmail_impl.h"

static int32_t
badmail_resolve_fail(struct resolve *r, int32_t rc, const char *text)
{
	snprintf(r->text, sizeof(r->text), "%s", text);
	return rc;
}

static bool
badmail_resolve_ask(struct resolve *r, struct errand *e)
{
	if (who_next(e->conf, &r->who) < 0)
		return false;
	errand_go(e, e->conf->auth[r->who.auth].backend, CALL_BEGIN);
	return true;
}

bool
resolve_begin(struct resolve *r, struct errand *e)
{
	who_begin(&r->who);
	return badmail_resolve_ask(r, e);
}

/* ---- an alias -------------------------------------------------------------------------------- */

static int32_t
badmail_resolve_next_target(struct resolve *r, struct errand *e)
{
	const char *t = json_string_value(json_array_get(r->targets, r->at));

	if (!t)
		return PM_OK; /* that was the last one */
	r->at++;
	if (!chain_name(e->conf, t, strlen(t), r->who.whole))
		return badmail_resolve_fail(r, PM_INVALID,
					    "the alias leads to an impossible address");
	who_begin(&r->who);
	return badmail_resolve_ask(r, e)
		       ? PM_AGAIN
		       : badmail_resolve_fail(r, PM_NOENT, "the alias leads elsewhere");
}

static int32_t
badmail_resolve_alias(struct resolve *r, struct errand *e, const struct pm_user *u)
{
	if (r->targets)
		return badmail_resolve_fail(r, PM_PERM,
					    "the alias leads to another alias, or to itself");
	if (u->n_targets > WHO_TARGETS_MAX)
		return badmail_resolve_fail(r, PM_PERM, "the alias has too many targets");
	r->targets = json_array();
	r->addresses = json_array();
	r->names = json_array();
	for (size_t i = 0; i < u->n_targets; i++)
		if (json_array_append_new(r->targets,
					  json_stringn(u->targets[i].p, u->targets[i].n)) != 0)
			return badmail_resolve_fail(r, PM_INVALID,
						    "the alias leads to an impossible address");
	return badmail_resolve_next_target(r, e);
}

/* ---- a mailbox ------------------------------------------------------------------------------- */

static int32_t
badmail_resolve_mailbox(struct resolve *r, struct errand *e)
{
	char quoted[ADDRESS_QUOTED_MAX + 1];

	if (!r->targets)
		return PM_OK;
	(void)address_quote(r->who.whole, strlen(r->who.whole), quoted);
	if (json_array_append_new(r->addresses, json_string(quoted)) != 0 ||
	    json_array_append_new(r->names, json_string(r->who.name)) != 0)
		return badmail_resolve_fail(r, PM_NOMEM, "out of memory");
	return badmail_resolve_next_target(r, e);
}

/* ---- nobody ---------------------------------------------------------------------------------- */

/* Nobody knows the name. Only in a domain of ours does somebody stand in for postmaster. */
static int32_t
badmail_resolve_unknown(struct resolve *r, struct errand *e, bool domain_ours)
{
	r->domain = false;
	if (domain_ours && who_stand_in(e->conf, &r->who) && badmail_resolve_ask(r, e))
		return PM_AGAIN;
	if (r->targets && !domain_ours)
		return badmail_resolve_fail(r, PM_NOENT, "the alias leads elsewhere");
	(void)badmail_resolve_fail(r, PM_NOENT,
				   r->targets ? "the alias leads to a mailbox that does not exist"
					      : "there is no such account");
	return lookup_end_code(r->who.blind, r->text, sizeof(r->text));
}

/* Asks the next section whether the domain is ours. One that cannot tell has them all, as at
 * RCPT. */
static int32_t
next_domain(struct resolve *r, struct errand *e)
{
	const char *at = strrchr(r->who.whole, '@');
	const struct conf_section *auth;

	r->who.auth = at ? chain_next(e->conf, r->who.whole, r->who.auth + 1) : -1;
	if (r->who.auth < 0)
		return badmail_resolve_unknown(r, e, !at);
	auth = &e->conf->auth[r->who.auth];
	if (auth->n_domains > 0 || !auth->backend->inst->desc->auth->domain)
		return badmail_resolve_unknown(r, e, true);
	r->domain = true;
	errand_go(e, auth->backend, CALL_BEGIN);
	return PM_AGAIN;
}

static int32_t
badmail_resolve_ask_domain(struct resolve *r, struct errand *e)
{
	const char *domain = strrchr(r->who.whole, '@') + 1;
	int32_t rc =
		host_domain(e->backend->inst, &e->call, (struct pm_str){domain, strlen(domain)});

	if (rc == PM_OK || rc == PM_UNSUPPORTED)
		return badmail_resolve_unknown(r, e, true);
	return rc == PM_NOENT ? next_domain(r, e)
			      : badmail_resolve_fail(r, rc, "accounts cannot be looked up now");
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int32_t
badmail_resolve_next_section(struct resolve *r, struct errand *e)
{
	r->who.auth++;
	if (badmail_resolve_ask(r, e))
		return PM_AGAIN;
	r->who.auth = -1;
	return next_domain(r, e);
}

int32_t
resolve_step(struct resolve *r, struct errand *e)
{
	struct pm_cred cred;
	struct pm_user u;
	int32_t rc;

	if (r->domain)
		return badmail_resolve_ask_domain(r, e);
	host_cred_init(&cred);
	cred.service = (struct pm_str){"deliver", 7};
	cred.authcid = (struct pm_str){r->who.name, strlen(r->who.name)};
	rc = host_lookup(e->backend->inst, &e->call, &cred, &u);
	if (rc == PM_AGAIN)
		return rc;
	switch (lookup_judge(rc, &e->conf->auth[r->who.auth], &r->who.blind)) {
	case LOOKUP_FOUND:
		rc = u.n_targets > 0 ? badmail_resolve_alias(r, e, &u)
				     : badmail_resolve_mailbox(r, e);
		break;
	case LOOKUP_NEXT:
		rc = badmail_resolve_next_section(r, e);
		break;
	default:
		return badmail_resolve_fail(r, rc, "accounts cannot be looked up now");
	}
	arena_reset(&e->arena);
	return rc;
}

bool
resolve_put(const struct resolve *r, json_t *item, size_t at)
{
	json_t *recipients = json_object_get(item, "recipients"),
	       *names = json_object_get(item, "names"), *name;
	size_t i;
	int bad = 0;

	if (!names) {
		names = json_copy(recipients); /* REFUSED: as they were given */
		bad |= json_object_set_new(item, "names", names);
	}
	bad |= json_array_remove(recipients, at) | json_array_remove(names, at);
	json_array_foreach(r->names, i, name)
	{
		const char *text = json_string_value(name);

		if (item_has(item, "names", text) || item_has(item, "delivered", text))
			continue;
		bad |= json_array_insert(recipients, at, json_array_get(r->addresses, i));
		bad |= json_array_insert(names, at++, name);
	}
	return !bad;
}

void
resolve_fini(struct resolve *r)
{
	json_decref(r->targets);
	json_decref(r->addresses);
	json_decref(r->names);
	memset(r, 0, sizeof(*r));
}
