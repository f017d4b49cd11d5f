/* SPDX-License-Identifier: Apache-2.0 */
#include "account.h"

#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "say.h"

/* Attributes that tell the state of an account, in whatever kind of directory; others have none
 * of that name. */
static char control[] = "userAccountControl", computed[] = "msDS-User-Account-Control-Computed";
static char expires[] = "accountExpires", shadow[] = "shadowExpire", ns_lock[] = "nsAccountLock";
static char pwd_locked[] = "pwdAccountLockedTime";

/* draft-behera-ldap-password-policy: until an administrator says so */
#define LOCKED_FOR_GOOD "000001010000Z"

void
account_attributes(const struct settings *s, char *ret[ACCOUNT_ATTRS_MAX])
{
	char *const fixed[] = {control, computed, expires, shadow, ns_lock, pwd_locked};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		ret[n++] = fixed[i];
	for (int i = 0; i < MAP_N; i++)
		if (s->attr[i])
			ret[n++] = s->attr[i];
	ret[n] = NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The state of account_read. */
struct reading {
	const struct ask *a;
	LDAP *ld;
	LDAPMessage *entry;
	struct account *acc;
};

static struct pm_str
str_of(const struct berval *v)
{
	return (struct pm_str){v->bv_val, v->bv_len};
}

/* The number of values, NULL-terminated, to be freed with ldap_value_free_len; 0: none. */
static int
account_values(const struct reading *r, const char *attr, struct berval ***ret)
{
	*ret = attr ? ldap_get_values_len(r->ld, r->entry, attr) : NULL;
	return ldap_count_values_len(*ret);
}

/* A number, if it is there. */
static bool
account_number(const struct reading *r, const char *attr, int64_t *ret)
{
	struct berval **v;
	bool good = account_values(r, attr, &v) > 0 && state_number(str_of(v[0]), ret);

	ldap_value_free_len(v);
	return good;
}

static bool
account_says(const struct reading *r, const char *attr, const char *word)
{
	struct berval **v;
	bool good = account_values(r, attr, &v) > 0 && v[0]->bv_len == strlen(word) &&
		    strncasecmp(v[0]->bv_val, word, v[0]->bv_len) == 0;

	ldap_value_free_len(v);
	return good;
}

static int32_t
account_unusable(const struct reading *r, const char *attr, const char *why)
{
	ask_error(r->a, "%s: attribute %s %s", r->acc->dn, attr, why);
	return PM_PERM;
}

/* Names of mailboxes must be exact: one value, no control characters, within the limit. */
static int32_t
account_exact(const struct reading *r, const char *attr, size_t max, char **ret)
{
	struct berval **v;
	int n = account_values(r, attr, &v);
	int32_t rc = PM_OK;

	if (n > 1)
		rc = account_unusable(r, attr, "has more than one value");
	for (size_t i = 0; rc == PM_OK && n == 1 && i < v[0]->bv_len; i++)
		if ((unsigned char)v[0]->bv_val[i] < 0x20 || v[0]->bv_val[i] == 0x7f)
			rc = account_unusable(r, attr, "holds a control character");
	if (rc == PM_OK && n == 1 && v[0]->bv_len > max)
		rc = account_unusable(r, attr, "is too long");
	if (rc == PM_OK && n == 1) {
		*ret = sdk_strdup(str_of(v[0]));
		rc = *ret ? PM_OK : PM_NOMEM;
	}
	ldap_value_free_len(v);
	return rc;
}

/* Active Directory's 16 octets, as its tools write them (MS-DTYP 2.3.4). False: it is none. */
static bool
guid_of(const char *attr, struct pm_str v, char ret[37])
{
	static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	char *p = ret;

	if (strcasecmp(attr, "objectGUID") != 0 || v.n != sizeof(order))
		return false;
	for (size_t i = 0; i < sizeof(order); i++) {
		p += snprintf(p, 3, "%02x", (unsigned char)v.p[order[i]]);
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*p++ = '-';
	}
	*p = '\0';
	return true;
}

static int32_t
account_key(const struct reading *r, const char *attr)
{
	struct berval **v;
	int n = account_values(r, attr, &v);
	bool guid = false;
	char text[37];

	if (n == 1)
		guid = guid_of(attr, str_of(v[0]), text);
	ldap_value_free_len(v);
	if (!guid)
		return account_exact(r, attr, PM_KEY_MAX, &r->acc->key);
	r->acc->key = strdup(text);
	return r->acc->key ? PM_OK : PM_NOMEM;
}

static void
size_of(const struct reading *r, const char *attr, uint64_t *ret)
{
	struct berval **v;

	if (account_values(r, attr, &v) > 0 && !state_size(str_of(v[0]), ret))
		sdk_log(r->a->inst->host, PM_LOG_WARNING,
			"%s: attribute %s is no size; taken as none", r->acc->dn, attr);
	ldap_value_free_len(v);
}

static void
account_rights(const struct reading *r, const char *attr)
{
	struct berval **v;
	int n = account_values(r, attr, &v);

	for (int i = 0; i < n; i++)
		if (!state_right(str_of(v[i]), &r->acc->rights))
			sdk_log(r->a->inst->host, PM_LOG_WARNING,
				"%s: attribute %s holds an unknown right", r->acc->dn, attr);
	ldap_value_free_len(v);
}

static int32_t
pass_on(const struct reading *r, const char *attr, const char *key)
{
	struct account *acc = r->acc;
	struct berval **v;
	int n = account_values(r, attr, &v);
	int32_t rc = PM_OK;

	for (int i = 0; i < n && acc->n_passed < ACCOUNT_PASSED_MAX && rc == PM_OK; i++) {
		if (v[i]->bv_len > PM_PATH_MAX)
			continue;
		acc->passed_key[acc->n_passed] = key;
		acc->passed[acc->n_passed] = sdk_strdup(str_of(v[i]));
		rc = acc->passed[acc->n_passed++] ? PM_OK : PM_NOMEM;
	}
	ldap_value_free_len(v);
	return rc;
}

/* ---- the name -------------------------------------------------------------------------------- */

static bool
same_letters(struct pm_str a, struct pm_str b)
{
	return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

/* value, or value@domain */
static char *
account_name_of(struct pm_str value, struct pm_str domain)
{
	char *name = malloc(value.n + domain.n + 2);
	size_t n = value.n;

	if (!name)
		return NULL;
	memcpy(name, value.p, n);
	if (domain.n > 0) {
		name[n++] = '@';
		memcpy(name + n, domain.p, domain.n);
		n += domain.n;
	}
	name[n] = '\0';
	return name;
}

/*
 * A directory takes "Ann", " ann" and full-width letters for the same user (RFC 4518), and the
 * mailbox is found by the name: so it is the directory's spelling that counts, never the client's.
 * Of several values the one that was asked for is the name, if there is a key to find the mailbox
 * by. Without a key each would be an account with a mailbox of its own, of one person; and no order
 * of values says which is meant: it would not be the same tomorrow.
 */
static int32_t
canonical_name(const struct reading *r, const struct template_names *names)
{
	const struct settings *s = &r->a->inst->set;
	struct pm_str asked = s->name_letter == 'n' ? names->local : names->user;
	struct pm_str domain = s->name_letter == 'n' ? names->domain : (struct pm_str){"", 0};
	struct berval **v;
	int n = account_values(r, s->attr[MAP_NAME], &v), best = 0;
	int32_t rc = PM_OK;

	for (int i = 0; i < n; i++)
		if (same_letters(str_of(v[i]), asked))
			best = i;
	if (n == 0)
		rc = account_unusable(r, s->attr[MAP_NAME],
				      "is not there: who is this? See name_attribute");
	if (n > 1 && !r->acc->key)
		rc = account_unusable(r, s->attr[MAP_NAME],
				      "has several values, each of them a mailbox: set "
				      "key_attribute (entryUUID, objectGUID) and %k in path, or "
				      "name_attribute to one with a single value");
	for (size_t i = 0; rc == PM_OK && i < v[best]->bv_len; i++)
		if ((unsigned char)v[best]->bv_val[i] < 0x20 || v[best]->bv_val[i] == 0x7f)
			rc = account_unusable(r, s->attr[MAP_NAME], "holds a control character");
	if (rc == PM_OK && v[best]->bv_len + domain.n + 1 > PM_NAME_MAX)
		rc = account_unusable(r, s->attr[MAP_NAME], "is too long");
	if (rc == PM_OK) {
		r->acc->name = account_name_of(str_of(v[best]), domain);
		r->acc->value_n = v[best]->bv_len;
		r->acc->by_domain = domain.n > 0;
		rc = r->acc->name ? PM_OK : PM_NOMEM;
	}
	ldap_value_free_len(v);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
state_of_entry(const struct reading *r)
{
	struct account *acc = r->acc;
	int64_t n;

	if (account_number(r, control, &n)) /* its LOCKOUT bit is not kept up to date there */
		acc->state = state_of_account_control(n & ~INT64_C(0x10));
	if (acc->state == STATE_OK && account_number(r, computed, &n))
		acc->state = state_of_account_control(n);
	if (account_says(r, ns_lock, "true"))
		acc->state = STATE_DISABLED;
	if (account_says(r, pwd_locked, LOCKED_FOR_GOOD))
		acc->state = STATE_LOCKED;
	if (account_number(r, expires, &n))
		acc->valid_until_ms = state_filetime_ms(n);
	else if (account_number(r, shadow, &n))
		acc->valid_until_ms = state_days_ms(n);
}

static int32_t
read_entry(const struct reading *r, const struct template_names *names)
{
	char *const *attr = r->a->inst->set.attr;
	struct account *acc = r->acc;
	int64_t days;
	int32_t rc = attr[MAP_KEY] ? account_key(r, attr[MAP_KEY]) : PM_OK;

	if (rc == PM_OK)
		rc = canonical_name(r, names);
	if (rc == PM_OK && attr[MAP_SECTION])
		rc = account_exact(r, attr[MAP_SECTION], 64, &acc->section);
	if (rc == PM_OK && attr[MAP_GROUP])
		rc = pass_on(r, attr[MAP_GROUP], "group");
	if (rc == PM_OK && attr[MAP_HOME])
		rc = pass_on(r, attr[MAP_HOME], "home");
	if (rc != PM_OK)
		return rc;
	size_of(r, attr[MAP_QUOTA], &acc->quota_octets);
	size_of(r, attr[MAP_QUOTA_MESSAGES], &acc->quota_msgs);
	if (account_number(r, attr[MAP_EXPIRE], &days) && days >= 0 && days <= INT32_MAX)
		acc->expire_days = (int32_t)days;
	account_rights(r, attr[MAP_RIGHTS]);
	state_of_entry(r);
	return PM_OK;
}

static struct account *
account_new(void)
{
	struct account *acc = calloc(1, sizeof(*acc));

	if (!acc)
		return NULL;
	acc->rights = PM_RIGHTS_DEFAULT;
	acc->expire_days = PM_EXPIRE_SITE;
	return acc;
}

int32_t
account_read(const struct ask *a, struct ldap *ld, struct ldapmsg *entry,
	     const struct template_names *names, struct account **ret)
{
	struct reading r = {.a = a, .ld = ld, .entry = entry, .acc = account_new()};
	char *dn = ldap_get_dn(ld, entry);
	int32_t rc = PM_NOMEM;

	if (r.acc && dn) {
		r.acc->dn = strdup(dn);
		rc = r.acc->dn ? read_entry(&r, names) : PM_NOMEM;
	}
	ldap_memfree(dn);
	if (rc == PM_OK)
		*ret = r.acc;
	else
		account_free(r.acc);
	return rc;
}

int32_t
account_bare(const struct template_names *names, const char *dn, struct account **ret)
{
	struct account *acc;

	for (size_t i = 0; i < names->user.n; i++) {
		unsigned char c = (unsigned char)names->user.p[i];

		if (c <= 0x20 || c >= 0x7f || (c >= 'A' && c <= 'Z'))
			return PM_NOENT;
	}
	acc = account_new();
	if (!acc)
		return PM_NOMEM;
	acc->name = sdk_strdup(names->user);
	acc->dn = strdup(dn);
	if (!acc->name || !acc->dn) {
		account_free(acc);
		return PM_NOMEM;
	}
	*ret = acc;
	return PM_OK;
}

void
account_free(struct account *acc)
{
	if (!acc)
		return;
	for (size_t i = 0; i < acc->n_passed; i++)
		free(acc->passed[i]);
	free(acc->dn);
	free(acc->name);
	free(acc->key);
	free(acc->section);
	free(acc);
}

/* ---- the host's user ------------------------------------------------------------------------- */

static uint32_t
user_state(enum state s)
{
	switch (s) {
	case STATE_OK:
		return PM_USER_ENABLED;
	case STATE_EXPIRED:
	case STATE_PASSWORD_EXPIRED:
		return PM_USER_EXPIRED;
	case STATE_MUST_CHANGE:
		return PM_USER_MUST_CHANGE;
	default:
		return PM_USER_DISABLED;
	}
}

static bool
account_give(const struct pm_call *call, const char *text, struct pm_str *ret)
{
	if (text)
		*ret = sdk_call_dup(call, text, strlen(text));
	return !text || ret->p;
}

int32_t
account_user(const struct account *acc, const struct pm_call *call, struct pm_user *ret)
{
	struct pm_attr *attr = call->alloc(call, (acc->n_passed + 1) * sizeof(*attr));
	size_t n = acc->n_passed;
	struct pm_user mine = *ret;

	if (!attr || !account_give(call, acc->name, &mine.name) ||
	    !account_give(call, acc->key, &mine.key) ||
	    !account_give(call, acc->section, &mine.section))
		return PM_NOMEM;
	for (size_t i = 0; i < acc->n_passed; i++) {
		attr[i].key = sdk_str(acc->passed_key[i]);
		if (!account_give(call, acc->passed[i], &attr[i].value))
			return PM_NOMEM;
	}
	attr[n].key = sdk_str("entry");
	if (!account_give(call, acc->by_domain ? acc->dn : NULL, &attr[n].value))
		return PM_NOMEM;
	mine.attr = attr;
	mine.n_attr = (uint32_t)(acc->by_domain ? n + 1 : n);
	mine.state = user_state(acc->state);
	mine.rights = acc->rights;
	mine.expire_days = acc->expire_days;
	mine.valid_until_ms = acc->valid_until_ms;
	mine.quota_octets = acc->quota_octets;
	mine.quota_msgs = acc->quota_msgs;
	*ret = mine;
	return PM_OK;
}
