/* SPDX-License-Identifier: Apache-2.0 */
#include "account/own.h"

#include <stdio.h>
#include <string.h>

#include "account/chain.h"
#include "account/owners.h"
#include "module/backend.h"

/* Deleted mail of all sections is together in the undo storage, by the accounts' names. */
static bool
own_shares(const struct conf *c, const struct conf_section *other,
	   const struct conf_section *storage, bool placed)
{
	return !other->only_wrapped &&
	       (placed || c->undo || chain_storage(c, other, NULL, 0) == storage);
}

const struct conf_section *
own_sharer(const struct conf *c, const struct conf_section *auth,
	   const struct conf_section *storage, bool placed)
{
	for (size_t i = 0; i < c->n_auth; i++)
		if (&c->auth[i] != auth && own_shares(c, &c->auth[i], storage, placed))
			return &c->auth[i];
	return NULL;
}

/* ---- completing ------------------------------------------------------------------------------ */

static bool
own_is_bare(const struct conf_section *s)
{
	return s->name_domain && strcmp(s->name_domain, CONF_NAME_BARE) == 0;
}

/* name@domain, in lower case as the chain has domains. */
static int32_t
own_append(const char *domain, struct arena *a, struct pm_str *name)
{
	size_t n = strlen(domain);
	char *text = name->n + n + 1 <= PM_NAME_MAX ? arena_alloc(a, name->n + n + 2) : NULL;

	if (!text)
		return name->n + n + 1 <= PM_NAME_MAX ? PM_NOMEM : PM_PERM;
	memcpy(text, name->p, name->n);
	text[name->n] = '@';
	for (size_t i = 0; i < n; i++)
		text[name->n + 1 + i] = domain[i] >= 'A' && domain[i] <= 'Z'
						? (char)(domain[i] - 'A' + 'a')
						: domain[i];
	*name = (struct pm_str){text, name->n + 1 + n};
	return PM_OK;
}

int32_t
own_complete(const struct conf_section *auth, const char *asked, struct arena *a, struct pm_user *u)
{
	struct pm_str name = u->name;
	int32_t rc = PM_OK;

	if (name.n == 0) {
		name = (struct pm_str){arena_dup(a, asked, strlen(asked)), strlen(asked)};
		if (!name.p)
			return PM_NOMEM;
	}
	if (auth->name_domain && !own_is_bare(auth) && !memchr(name.p, '@', name.n))
		rc = own_append(auth->name_domain, a, &name);
	if (rc != PM_OK)
		return rc;
	u->name = name;
	if (u->key.n == 0)
		u->key = name;
	return PM_OK;
}

/* ---- judging --------------------------------------------------------------------------------- */

/* The section that is alone in that storage: its accounts' names are not checked, so those of an
 * account that was put there prove nothing. NULL: all who are there are checked. */
static const struct conf_section *
own_unchecked(const struct conf *c, const struct conf_section *storage)
{
	const struct conf_section *alone = NULL;

	for (size_t i = 0; i < c->n_auth && !c->undo; i++) {
		const struct conf_section *s = &c->auth[i];

		if (s->only_wrapped || chain_storage(c, s, NULL, 0) != storage)
			continue;
		if (alone)
			return NULL;
		alone = s;
	}
	return alone && !own_is_bare(alone) ? alone : NULL;
}

/* Does its name lead back to its section? */
static enum own
own_leads_back(const struct conf *c, const struct conf_section *auth,
	       const struct conf_section *storage, const char *asked, const struct pm_user *u,
	       char *text, size_t cap)
{
	bool placed = u->section.n > 0 && storage != chain_storage(c, auth, NULL, 0);
	const struct conf_section *other = storage ? own_sharer(c, auth, storage, placed) : NULL;
	const struct conf_section *alone = placed && other ? own_unchecked(c, storage) : NULL;
	char name[PM_NAME_MAX + 1];

	if (!other || own_is_bare(auth) || u->name.n >= sizeof(name))
		return OWN_YES;
	memcpy(name, u->name.p, u->name.n);
	name[u->name.n] = '\0';
	if (alone) {
		snprintf(text, cap,
			 "its name is '%.64s', and its mail would be in storage section %.40s, "
			 "where section %.40s calls its accounts as it likes; see name_domain",
			 name, storage->name, alone->name);
		return OWN_NO;
	}
	if (strcmp(name, asked) == 0)
		return OWN_YES;
	if (!chain_fits(auth, name)) {
		snprintf(text, cap,
			 "its name is '%.80s', in no domain of section %.40s; section %.40s has "
			 "mail in the same %s: whose mailbox is it? See name_domain",
			 name, auth->name, other->name,
			 placed || chain_storage(c, other, NULL, 0) == storage ? "storage section"
									       : "undo_storage");
		return OWN_NO;
	}
	for (size_t i = 0; i < c->n_auth; i++)
		if (&c->auth[i] != auth && chain_fits(&c->auth[i], name) &&
		    own_shares(c, &c->auth[i], storage, placed))
			return OWN_ASK;
	return OWN_YES;
}

enum own
own_judge(const struct conf *c, const struct conf_section *auth, const struct conf_section *storage,
	  const char *asked, const struct pm_user *u, char *text, size_t cap)
{
	enum own judged = own_leads_back(c, auth, storage, asked, u, text, cap);
	char other[81];

	if (judged == OWN_NO || !storage || !storage->backend ||
	    owners_claim(storage->backend->owners, auth->name, u, other, sizeof(other)))
		return judged;
	snprintf(text, cap,
		 "storage section %.40s would give it the mailbox of '%s', which came first: the "
		 "path there needs the domain, %%u or %%d",
		 storage->name, other);
	return OWN_NO;
}
