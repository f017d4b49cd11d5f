/* SPDX-License-Identifier: Apache-2.0 */
/* Logins: a statement, a hash, an account. No connection is held while a hash is computed. */
#include "account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "password_make.h"
#include "pool.h"
#include "query.h"
#include "result.h"
#include "row.h"
#include "say.h"
#include "sql.h"
#include "write_behind.h"

#define WHY 128
#define HASH_MAX 256
#define APP_PASSWORDS_MAX 32
#define TARGETS_MAX 256

/* ---- names ----------------------------------------------------------------------------------- */

/* True for a name in UTF-8 (RFC 3629) without control characters or NUL. The database is never
 * asked about any other: a server that ends texts at a NUL, or calls a byte no character, would
 * answer another question or fail. */
static size_t
account_character(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;

	if (len == 0 || len > n || p[0] < 0x20 || p[0] == 0x7f)
		return 0;
	for (size_t k = 1; k < len; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

static bool
account_askable(struct pm_str name)
{
	if (name.n == 0 || name.n > PM_NAME_MAX)
		return false;
	for (size_t k = 0, len; k < name.n; k += len)
		if ((len = account_character((const unsigned char *)name.p + k, name.n - k)) == 0)
			return false;
	return true;
}

static void
account_args(struct pm_str *args, const struct pm_cred *cred)
{
	query_name(args, cred->authcid);
	args[P_PEER] = account_askable(cred->peer) ? cred->peer : (struct pm_str){"", 0};
	args[P_SERVICE] = account_askable(cred->service) ? cred->service : (struct pm_str){"", 0};
}

/* ---- passwords ------------------------------------------------------------------------------- */

/* The hash seen last is what a stranger's password is tried on. */
static void
remember_usual(struct inst *i, struct pm_str hash)
{
	if (hash.n == 0 || hash.n > sizeof(i->usual))
		return;
	pthread_mutex_lock(&i->mutex);
	memcpy(i->usual, hash.p, hash.n);
	i->usual_n = hash.n;
	pthread_mutex_unlock(&i->mutex);
}

static void
account_burn(struct inst *i, struct pm_str secret)
{
	char usual[SQL_USUAL_MAX];
	size_t n;

	pthread_mutex_lock(&i->mutex);
	n = i->usual_n;
	memcpy(usual, i->usual, n);
	pthread_mutex_unlock(&i->mutex);
	sdk_password_burn((struct pm_str){usual, n}, secret, &i->limits);
	explicit_bzero(usual, sizeof(usual));
}

/* PM_OK, PM_DENIED; PM_PERM: this hash cannot be checked, which is not the client's fault. */
static int32_t
check_hash(struct inst *i, const struct pm_call *call, struct pm_str name, struct pm_str hash,
	   struct pm_str secret)
{
	char why[WHY] = "";
	int32_t rc = hash.n > 0 ? sdk_password_check(hash, secret, &i->limits, why) : PM_DENIED;

	if (rc != PM_UNSUPPORTED && rc != PM_CORRUPT)
		return rc;
	sdk_error(call, "user '%.*s': %s", (int)name.n, name.p, why);
	return PM_PERM;
}

/* The several passwords of one user; the first that fits. */
static int32_t
check_apps(struct inst *i, const struct pm_call *call, const struct pm_cred *cred,
	   const struct sql_result *r, struct pm_user *u)
{
	if (r->n_rows > 0 && !result_get(r, 0, "password")) {
		sdk_error(call,
			  "query_passwords: the column 'password' is needed; name it with AS");
		return PM_TEMP;
	}
	if (r->n_rows > APP_PASSWORDS_MAX) {
		sdk_error(call, "query_passwords: %u rows for one user, at most %d are tried",
			  r->n_rows, APP_PASSWORDS_MAX);
		return PM_TEMP;
	}
	for (uint32_t row = 0; row < r->n_rows; row++) {
		int32_t rc =
			check_hash(i, call, u->name, *result_get(r, row, "password"), cred->secret);

		if (rc == PM_OK)
			rc = row_password(i, call, r, row, u);
		if (rc != PM_DENIED && rc != PM_PERM)
			return rc;
	}
	return PM_DENIED;
}

static void
account_upgrade(struct inst *i, const struct pm_user *u, struct pm_str hash, struct pm_str secret)
{
	char made[HASH_MAX], why[WHY] = "";

	if (!i->scheme || !pool_has(i, Q_SET_PASSWORD) ||
	    sdk_password_is(hash, i->scheme, i->scheme_cost))
		return;
	if (sdk_password_make(i->scheme, i->scheme_cost, secret, made, sizeof(made), why) == PM_OK)
		write_behind_password(i, u->name, hash, sdk_str(made));
	else
		sdk_log(i->host, PM_LOG_WARNING, "no new hash for user '%.*s': %s", (int)u->name.n,
			u->name.p, why);
	explicit_bzero(made, sizeof(made));
}

/* A name that the database cannot compare has no row. */
static int32_t
account_ask(struct inst *i, const struct pm_call *call, enum sql_which which,
	    const struct pm_str *args, struct sql_result *r)
{
	int32_t rc = pool_run(i, call, which, args, r);

	return rc == PM_NOENT ? PM_OK : rc;
}

/* ---- methods --------------------------------------------------------------------------------- */

static int32_t
account_unknown(struct inst *i, const struct pm_cred *cred)
{
	account_burn(i, cred->secret);
	return i->deny_unknown ? PM_DENIED : PM_NEXT;
}

/* After the row of the account: checks its password, then its app passwords. */
static int32_t
check_account(struct inst *i, const struct pm_call *call, const struct pm_cred *cred,
	      struct pm_str hash, const struct sql_result *apps, struct pm_user *u)
{
	int32_t first, rc;

	remember_usual(i, hash);
	first = rc = check_hash(i, call, u->name, hash, cred->secret);
	if (rc == PM_OK)
		account_upgrade(i, u, hash, cred->secret);
	else if ((rc == PM_DENIED || rc == PM_PERM) && apps)
		rc = check_apps(i, call, cred, apps, u);
	return rc == PM_DENIED ? first : rc;
}

static bool
asks_for_peer(const struct inst *i)
{
	for (int q = Q_USER; q <= Q_PASSWORDS; q++)
		for (size_t k = 0; pool_has(i, (enum sql_which)q) && k < i->queries[q].n_places;
		     k++)
			if (i->queries[q].place[k] == P_PEER)
				return true;
	return false;
}

int32_t
account_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	       struct pm_user *ret)
{
	struct inst *i = inst;
	struct pm_str args[P_COUNT] = {0};
	struct sql_result r = {0}, apps = {0};
	struct pm_user u = *ret;
	bool has_apps = pool_has(i, Q_PASSWORDS);
	int32_t rc;

	if (cred->kind != PM_CRED_PASSWORD)
		return PM_UNSUPPORTED;
	if (cred->secret.n == 0)
		return PM_DENIED;
	if (!account_askable(cred->authcid))
		return account_unknown(i, cred);
	account_args(args, cred);
	rc = account_ask(i, call, Q_USER, args, &r);
	if (rc == PM_OK && r.n_rows > 0) {
		rc = row_user(i, call, &r, &u);
		query_name(args, u.name);
	}
	/* for strangers too: they must not be told by the time it takes */
	if (rc == PM_OK && has_apps)
		rc = account_ask(i, call, Q_PASSWORDS, args, &apps);
	if (rc == PM_OK && r.n_rows == 0)
		rc = account_unknown(i, cred);
	else if (rc == PM_OK)
		rc = check_account(i, call, cred, *result_get(&r, 0, "password"),
				   has_apps ? &apps : NULL, &u);
	if (rc == PM_OK) {
		write_behind_login(i, u.name, u.cred_id, cred);
		if (asks_for_peer(i))
			u.cache_s = 0; /* an answer for this address is none for another */
		*ret = u;
	}
	result_free(&r);
	result_free(&apps);
	return rc;
}

/* One address of a list "a@x, b@y"; false at the end. */
static bool
account_next_target(struct pm_str *rest, struct pm_str *ret)
{
	const char *p = rest->p, *end = p + rest->n, *stop;

	while (p < end && (*p == ',' || *p == ' '))
		p++;
	for (stop = p; stop < end && *stop != ',' && *stop != ' ';)
		stop++;
	*ret = (struct pm_str){p, (size_t)(stop - p)};
	*rest = (struct pm_str){stop, (size_t)(end - stop)};
	return ret->n > 0;
}

/* Column 'target' of all rows, each one address or several with commas between. */
static int32_t
put_targets(const struct pm_call *call, const struct sql_result *r, struct pm_user *u)
{
	struct pm_str *list = NULL, rest, one;
	uint32_t n = 0;

	if (r->n_rows == 0)
		return PM_OK;
	if (r->n_cols != 1 || !sdk_str_is(r->names[0], "target")) {
		sdk_error(call, "query_targets: one column 'target' is expected; name it with AS");
		return PM_TEMP;
	}
	list = call->alloc(call, TARGETS_MAX * sizeof(*list));
	if (!list)
		return PM_NOMEM;
	for (uint32_t row = 0; row < r->n_rows; row++) {
		for (rest = r->cells[row]; rest.p && account_next_target(&rest, &one);) {
			if (n == TARGETS_MAX || !account_askable(one)) {
				sdk_error(call,
					  "query_targets: more than %d targets, or one that is no "
					  "address",
					  TARGETS_MAX);
				return PM_TEMP;
			}
			list[n] = sdk_call_dup(call, one.p, one.n);
			if (!list[n++].p)
				return PM_NOMEM;
		}
	}
	u->targets = n > 0 ? list : NULL;
	u->n_targets = n;
	return PM_OK;
}

/* Its own name among the targets is the mailbox, which keeps a copy; PostfixAdmin writes such a
 * line for each, where it is the only one. Without a mailbox it leads nowhere. */
static void
drop_itself(struct pm_user *u, struct pm_str asked, bool mailbox)
{
	struct pm_str *list = (struct pm_str *)(uintptr_t)u->targets, self = {NULL, 0};
	uint32_t n = 0;

	for (uint32_t k = 0; k < u->n_targets; k++) {
		struct pm_str t = list[k];

		if ((t.n == asked.n && strncasecmp(t.p, asked.p, t.n) == 0) ||
		    (t.n == u->name.n && memcmp(t.p, u->name.p, t.n) == 0))
			self = t;
		else
			list[n++] = t;
	}
	if (self.n > 0 && mailbox && n > 0)
		list[n++] = self; /* there is room: it was taken out */
	u->n_targets = n;
	if (n == 0)
		u->targets = NULL;
}

/* The account of a name; *ret_r keeps the row. PM_NOENT: there is none. */
static int32_t
account_find(struct inst *i, const struct pm_call *call, const struct pm_cred *cred,
	     struct pm_str *args, struct pm_user *u, struct sql_result *ret_r)
{
	int32_t rc;

	memset(ret_r, 0, sizeof(*ret_r));
	if (!account_askable(cred->authcid))
		return PM_NOENT;
	account_args(args, cred);
	rc = account_ask(i, call, Q_USER, args, ret_r);
	if (rc != PM_OK)
		return rc;
	return ret_r->n_rows == 0 ? PM_NOENT : row_user(i, call, ret_r, u);
}

static int32_t
find_targets(struct inst *i, const struct pm_call *call, const struct pm_str *args, bool mailbox,
	     struct pm_user *u)
{
	struct sql_result r = {0};
	int32_t rc = account_ask(i, call, Q_TARGETS, args, &r);

	if (rc == PM_OK)
		rc = put_targets(call, &r, u);
	if (rc == PM_OK)
		drop_itself(u, args[P_USER], mailbox);
	result_free(&r);
	return rc;
}

int32_t
account_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	       struct pm_user *ret)
{
	struct inst *i = inst;
	struct pm_str args[P_COUNT] = {0};
	struct pm_user u = *ret;
	struct sql_result r;
	int32_t rc = account_find(i, call, cred, args, &u, &r), more;

	if ((rc == PM_OK || rc == PM_NOENT) && args[P_USER].n > 0 && pool_has(i, Q_TARGETS)) {
		more = find_targets(i, call, args, rc == PM_OK, &u);
		if (more != PM_OK)
			rc = more;
		/* an alias, which nobody logs in with */
		else if (rc == PM_NOENT && u.n_targets > 0) {
			u.rights = PM_RIGHT_DELIVER;
			u.name = sdk_call_dup(call, cred->authcid.p, cred->authcid.n);
			rc = u.name.p ? PM_OK : PM_NOMEM;
		}
	}
	if (rc == PM_OK)
		*ret = u;
	result_free(&r);
	return rc;
}

int32_t
account_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	       struct pm_secret *ret_secret, struct pm_user *ret)
{
	struct pm_str args[P_COUNT] = {0};
	struct pm_secret secret = *ret_secret;
	struct pm_user u = *ret;
	struct sql_result r;
	int32_t rc = account_find(inst, call, cred, args, &u, &r);

	if (rc == PM_OK) {
		struct pm_str hash = *result_get(&r, 0, "password");

		rc = hash.n > 0 ? sdk_password_secret(call, hash, &secret) : PM_UNSUPPORTED;
	}
	if (rc == PM_OK) {
		*ret_secret = secret;
		*ret = u;
	}
	result_free(&r);
	return rc;
}

int32_t
account_domain(void *inst, const struct pm_call *call, struct pm_str name)
{
	struct inst *i = inst;
	struct pm_str args[P_COUNT] = {0};
	struct sql_result r = {0};
	int32_t rc;

	if (!pool_has(i, Q_DOMAIN))
		return PM_UNSUPPORTED; /* the configuration's own routing decides */
	if (!account_askable(name))
		return PM_NOENT;
	args[P_DOMAIN] = name;
	rc = account_ask(i, call, Q_DOMAIN, args, &r);
	if (rc == PM_OK && r.n_rows == 0)
		rc = PM_NOENT;
	result_free(&r);
	return rc;
}
