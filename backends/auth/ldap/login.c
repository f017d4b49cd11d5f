/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attempt is everything that one server is asked for one login; when the server fails in the
 * middle the next one is asked from the beginning. What a server says of an account is an outcome;
 * that it could not be asked is a result code, and never becomes "wrong password" (R11).
 */
#include "login.h"

#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account.h"
#include "conf.h"
#include "conn.h"
#include "pool.h"
#include "prove.h"
#include "search.h"

/* One user being looked at. */
struct visit {
	struct template_names names;
	struct pm_str secret;
	bool lookup;         /* no secret: is there such a user? */
	enum state said;     /* by the bind */
	bool member;         /* of a required group */
	struct account *acc; /* NULL: nobody of that name */
};

/* ---- one server ------------------------------------------------------------------------------ */

/* The filled-in base or DN, to be freed; a constant one too. */
static char *
fill_dn(const char *t, const struct visit *v, int32_t *ret_rc)
{
	return template_fill(t, TEMPLATE_DN, &v->names, ret_rc);
}

/* The entry below base that the filter finds, as an account. */
static int32_t
login_find_account(struct conn *c, const struct ask *a, struct visit *v)
{
	const struct settings *s = &a->inst->set;
	struct ldapmsg *entry = NULL;
	int32_t rc;
	char *filter = template_fill(s->filter, TEMPLATE_FILTER, &v->names, &rc);
	char *base = filter ? fill_dn(s->base, v, &rc) : NULL;

	if (base)
		rc = search_one(c, a, base, s->scope, filter,
				strchr(s->base, '%') || (v->lookup && settings_blind(s)), &entry);
	if (rc == PM_OK)
		rc = account_read(a, c->ld, entry, &v->names, &v->acc);
	ldap_msgfree(entry);
	free(filter);
	free(base);
	return rc;
}

/* ---- the only one of that name? -------------------------------------------------------------- */

/* By what found the entry: then nobody else can have the name. */
static bool
name_is_proven(const struct settings *s, const struct visit *v, struct pm_str value, bool within)
{
	static const char letters[] = "un";

	for (size_t i = 0; letters[i]; i++) {
		struct pm_str part = letters[i] == 'u' ? v->names.user : v->names.local;

		if (part.n != value.n || strncasecmp(part.p, value.p, value.n) != 0)
			continue;
		if (s->base && !prove_varies(s->base, within) &&
		    prove_finds_all(s->filter, s->attr[MAP_NAME], letters[i], within))
			return true;
		/* each name has a DN of its own */
		if (!s->base && prove_only(s->user_dn, letters[i], within))
			return true;
	}
	return false;
}

/* The filter and the base to look for others with. ret: NULL: how many are there? Else the one. */
static int32_t
ask_namesakes(struct conn *c, const struct ask *a, const struct template_names *names, bool within,
	      struct ldapmsg **ret)
{
	const struct settings *s = &a->inst->set;
	const char *below = s->base ? s->base : s->user_dn, *root = prove_root(below, within);
	char *t = prove_namesakes(s->base ? s->filter : NULL, s->attr[MAP_NAME], within);
	int scope = root == s->base ? s->scope : LDAP_SCOPE_SUBTREE;
	int32_t rc = PM_NOMEM;
	char *filter = t ? template_fill(t, TEMPLATE_FILTER, names, &rc) : NULL;
	char *base = filter ? template_fill(root, TEMPLATE_DN, names, &rc) : NULL;

	if (base && ret)
		rc = search_one(c, a, base, scope, filter, false, ret);
	else if (base)
		rc = search_count(c, a, base, scope, filter);
	free(base);
	free(filter);
	free(t);
	return rc;
}

/* May another entry have the same value? */
static int32_t
check_value(struct conn *c, const struct ask *a, const struct visit *v, struct pm_str value)
{
	const struct settings *s = &a->inst->set;
	const struct account *acc = v->acc;
	struct template_names names = {.user = value, .local = value, .domain = v->names.domain};
	bool within = s->name_letter == 'n';
	int32_t rc;

	if (name_is_proven(s, v, value, within))
		return PM_OK;
	if (!within && !*prove_root(s->base ? s->base : s->user_dn, within) &&
	    !memchr(value.p, '@', value.n)) {
		ask_error(a,
			  "%s: %s is '%.*s', and each domain has a directory of its own: whose "
			  "mailbox is it? Leave name_attribute out",
			  acc->dn, s->attr[MAP_NAME], (int)value.n, value.p);
		return PM_PERM;
	}
	rc = ask_namesakes(c, a, &names, within, NULL);
	if (rc == PM_PERM)
		ask_error(a, "%s: %s is '%.*s', and another entry's, too: whose mailbox is it?",
			  acc->dn, s->attr[MAP_NAME], (int)value.n, value.p);
	return rc == PM_NOENT ? PM_OK : rc;
}

/* Octets of a value before the domain that the host appends to others; 0: it has not got it. */
static size_t
value_before_domain(const struct settings *s, struct pm_str value)
{
	size_t n = s->name_domain ? strlen(s->name_domain) : 0;

	if (n == 0 || value.n < n + 2 || value.p[value.n - n - 1] != '@' ||
	    strncasecmp(value.p + value.n - n, s->name_domain, n) != 0)
		return 0;
	return value.n - n - 1;
}

/*
 * May another entry have this value without the domain, which the host appends? It is this one that
 * gives way, so that no login by a name without a domain, as nearly all are, costs a search more.
 */
static int32_t
check_completed(struct conn *c, const struct ask *a, const struct visit *v, struct pm_str value)
{
	const struct settings *s = &a->inst->set;
	struct pm_str bare = {value.p, value_before_domain(s, value)};
	struct template_names names = {.user = bare, .local = bare, .domain = v->names.domain};
	struct ldapmsg *entry = NULL;
	char *dn = NULL;
	int32_t rc;

	/* with a directory for each domain nobody has a name without one (check_value) */
	if (bare.n == 0 || s->name_letter == 'n' ||
	    !*prove_root(s->base ? s->base : s->user_dn, false))
		return PM_OK;
	rc = ask_namesakes(c, a, &names, false, &entry);
	if (rc == PM_OK)
		dn = ldap_get_dn(c->ld, entry);
	ldap_msgfree(entry);
	if (rc == PM_NOENT || (dn && strcasecmp(dn, v->acc->dn) == 0)) {
		ldap_memfree(dn); /* it has both values */
		return PM_OK;
	}
	if (rc == PM_OK || rc == PM_PERM) {
		ask_error(a, "%s: %s is '%.*s', as is, with name_domain, the '%.*s' of %s",
			  v->acc->dn, s->attr[MAP_NAME], (int)value.n, value.p, (int)bare.n, bare.p,
			  dn ? dn : "others");
		rc = PM_PERM;
	}
	ldap_memfree(dn);
	return rc;
}

/*
 * Two people of one name would have one mailbox. With a key of its own it is another one; what the
 * directory does not show cannot be counted.
 */
static int32_t
check_alone(struct conn *c, const struct ask *a, const struct visit *v)
{
	struct pm_str value = {v->acc->name, v->acc->value_n};
	int32_t rc;

	if (value.n == 0 || v->acc->key)
		return PM_OK;
	rc = check_value(c, a, v, value);
	return rc == PM_OK ? check_completed(c, a, v, value) : rc;
}

/* ---- one server, step by step ---------------------------------------------------------------- */

/* A bind that cannot succeed: an unknown user costs the same steps as a known one. */
static void
bind_nobody(struct pair *pair, const struct ask *a)
{
	struct ask mine = ask_within(a, a->inst->set.answer_ms);
	enum state said;
	struct conn *c;

	if (pair_user(pair, a, &c) == PM_OK)
		(void)conn_bind_user(c, &mine, "cn=restante-nobody,cn=restante",
				     (struct pm_str){"-", 1}, &said);
}

static int32_t
bind_as(struct pair *pair, const struct ask *a, const char *dn, struct visit *v, struct conn **ret)
{
	int32_t rc = pair_user(pair, a, ret);
	struct ask mine = ask_within(a, a->inst->set.answer_ms);

	return rc == PM_OK ? conn_bind_user(*ret, &mine, dn, v->secret, &v->said) : rc;
}

static int32_t
check_member(struct conn *c, const struct ask *a, struct visit *v)
{
	int32_t rc;

	v->names.dn = sdk_str(v->acc->dn);
	rc = search_groups(c, a, &v->names);
	v->member = rc == PM_OK;
	return rc == PM_NOENT ? PM_OK : rc;
}

/* Search for the entry as the service, bind as the entry. */
static int32_t
search_then_bind(struct pair *pair, const struct ask *a, struct visit *v)
{
	struct conn *search, *user;
	int32_t rc = pair_search(pair, a, &search);

	if (rc == PM_OK)
		rc = login_find_account(search, a, v);
	if (rc == PM_NOENT && !v->lookup)
		bind_nobody(pair, a);
	if (rc == PM_OK && !v->lookup)
		rc = bind_as(pair, a, v->acc->dn, v, &user);
	if (rc == PM_OK && v->said == STATE_OK)
		rc = check_alone(search, a, v);
	if (rc == PM_OK && v->said == STATE_OK)
		rc = check_member(search, a, v);
	return rc;
}

/* Reads of the user what may be read, there or below base; nothing readable is no failure. */
static int32_t
read_own(struct conn *c, const struct ask *a, const char *dn, struct visit *v)
{
	const struct settings *s = &a->inst->set;
	struct ldapmsg *entry = NULL;
	int32_t rc = PM_NOENT;

	if (s->base) {
		rc = login_find_account(c, a, v);
	} else if (s->user_dn_kind == TEMPLATE_DN) {
		rc = search_one(c, a, dn, LDAP_SCOPE_BASE, "(objectClass=*)", true, &entry);
		if (rc == PM_OK)
			rc = account_read(a, c->ld, entry, &v->names, &v->acc);
		ldap_msgfree(entry);
	}
	return rc == PM_NOENT ? account_bare(&v->names, dn, &v->acc) : rc;
}

/* Bind as the name that user_dn makes; look afterwards: as the service, if there is one, for
 * users may read little. */
static int32_t
direct_bind(struct pair *pair, const struct ask *a, struct visit *v)
{
	const struct settings *s = &a->inst->set;
	struct conn *reader;
	int32_t rc;
	char *dn = template_fill(s->user_dn, s->user_dn_kind, &v->names, &rc);

	if (!dn)
		return rc;
	rc = bind_as(pair, a, dn, v, &reader);
	if (rc == PM_OK && v->said == STATE_OK && (s->bind_dn || s->bind_external))
		rc = pair_search(pair, a, &reader);
	if (rc == PM_OK && v->said == STATE_OK)
		rc = read_own(reader, a, dn, v);
	if (rc == PM_OK && v->said == STATE_OK)
		rc = check_alone(reader, a, v);
	if (rc == PM_OK && v->said == STATE_OK)
		rc = check_member(reader, a, v);
	free(dn);
	return rc;
}

/* Without a base the entry is where user_dn says. */
static int32_t
look_up_direct(struct pair *pair, const struct ask *a, struct visit *v)
{
	struct ldapmsg *entry = NULL;
	struct conn *search;
	int32_t rc = pair_search(pair, a, &search);
	char *dn = rc == PM_OK ? fill_dn(a->inst->set.user_dn, v, &rc) : NULL;

	if (dn)
		rc = search_one(search, a, dn, LDAP_SCOPE_BASE, "(objectClass=*)", true, &entry);
	if (rc == PM_OK)
		rc = account_read(a, search->ld, entry, &v->names, &v->acc);
	if (rc == PM_OK)
		rc = check_alone(search, a, v);
	if (rc == PM_OK)
		rc = check_member(search, a, v);
	ldap_msgfree(entry);
	free(dn);
	return rc;
}

static int32_t
login_attempt(struct pair *pair, const struct ask *a, void *ctx)
{
	const struct settings *s = &a->inst->set;
	struct visit *v = ctx;

	v->said = STATE_OK;
	v->member = false;
	account_free(v->acc);
	v->acc = NULL;
	if (s->user_dn && !v->lookup)
		return direct_bind(pair, a, v);
	if (s->user_dn && !s->base)
		return look_up_direct(pair, a, v);
	return search_then_bind(pair, a, v);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int32_t
login_deny(const struct pm_call *call, const char *why)
{
	call->error(call, sdk_str(why));
	return PM_DENIED;
}

static int32_t
login_unknown(const struct inst *i, const struct pm_call *call)
{
	call->error(call, sdk_str(state_text(STATE_UNKNOWN)));
	return i->set.deny_unknown ? PM_DENIED : PM_NEXT;
}

/* The outcome of a visit that was not a failure, in the ABI's words. */
static int32_t
login_answer(const struct inst *i, const struct pm_call *call, const struct visit *v, int32_t rc,
	     struct pm_user *ret)
{
	if (rc == PM_NOENT)
		return login_unknown(i, call);
	if (rc != PM_OK)
		return rc;
	if (v->said != STATE_OK)
		return login_deny(call, state_text(v->said));
	if (v->acc->state == STATE_LOCKED || v->acc->state == STATE_PASSWORD_EXPIRED)
		/* PM_USER_... has no word for it */
		return login_deny(call, state_text(v->acc->state));
	if (!v->member)
		return login_deny(call, "not a member of require_group");
	return account_user(v->acc, call, ret);
}

int32_t
login_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	     struct pm_user *ret)
{
	struct inst *i = inst;
	struct visit v = {.secret = cred->secret};
	char why[PM_ERROR_MAX + 1] = "";
	struct ask a = {.inst = i, .call = call, .until_ms = call->deadline_ms, .why = why};
	int32_t rc;

	if (cred->kind != PM_CRED_PASSWORD)
		return PM_UNSUPPORTED;
	/* RFC 4513 section 5.1.2: an empty password would be let in as nobody; a NUL cuts hashes
	 * short */
	if (cred->secret.n == 0 || memchr(cred->secret.p, '\0', cred->secret.n))
		return login_deny(call, state_text(STATE_WRONG));
	if (cred->authcid.n == 0)
		return login_unknown(i, call);
	template_split(cred->authcid, &v.names);
	rc = login_answer(i, call, &v, pool_each(&a, login_attempt, &v), ret);
	account_free(v.acc);
	return rc;
}

/* Can there be such a user? Without a DN that is filled in nothing tells. */
static bool
login_possible(const struct settings *s, const struct visit *v)
{
	int32_t rc = PM_OK;

	if (s->user_dn)
		free(template_fill(s->user_dn, s->user_dn_kind, &v->names, &rc));
	return rc != PM_NOENT;
}

/* A service user that may see nothing cannot say that there is nobody (R11). */
static int32_t
login_cannot_tell(const struct pm_call *call, const char *why)
{
	char text[PM_ERROR_MAX];

	snprintf(text, sizeof(text), "cannot look names up without a password: %s", why);
	call->error(call, sdk_str(text));
	return PM_UNSUPPORTED;
}

int32_t
login_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	     struct pm_user *ret)
{
	struct inst *i = inst;
	struct visit v = {.lookup = true};
	const char *blind = settings_blind(&i->set);
	char why[PM_ERROR_MAX + 1] = "";
	struct ask a = {.inst = i, .call = call, .until_ms = call->deadline_ms, .why = why};
	int32_t rc;

	if (cred->authcid.n == 0)
		return PM_NOENT;
	template_split(cred->authcid, &v.names);
	if (!login_possible(&i->set, &v))
		return PM_NOENT;
	if (blind && !i->set.base && i->set.user_dn_kind != TEMPLATE_DN)
		return login_cannot_tell(call, blind); /* there is nothing to search for */
	rc = pool_each(&a, login_attempt, &v);
	if (rc == PM_OK)
		rc = v.member ? account_user(v.acc, call, ret) : PM_NOENT;
	account_free(v.acc);
	return rc == PM_NOENT && blind ? login_cannot_tell(call, blind) : rc;
}
