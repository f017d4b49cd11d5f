/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/passwd - accounts in passwd-files; with %d in its name there is one file per domain. What an
 * account is and who it lets in; source.c has the files.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "passwd.h"
#include "path.h"
#include "say.h"
#include "source.h"

#define WHY 128

/* ---- accounts -------------------------------------------------------------------------------- */

/* Of a part ann is not taken for ann@example.org, who may be in the rest. t may be NULL. */
static const struct entry *
passwd_find(struct inst *i, const struct table *t, enum source_state state, struct pm_str name)
{
	const struct entry *e = t ? table_find(t, name.p, name.n) : NULL;
	const char *at = name.n > 0 ? memrchr(name.p, '@', name.n) : NULL;

	if (t && !e && at && (i->strip_domain || i->per_domain) && state != SOURCE_PART)
		e = table_find(t, name.p, (size_t)(at - name.p));
	return e;
}

static bool
put_attr(const struct pm_call *call, struct pm_attr *a, uint32_t *n, const char *key,
	 struct pm_str value)
{
	if (value.n == 0)
		return true;
	a[*n].key = sdk_str(key); /* a literal */
	a[*n].value = sdk_call_dup(call, value.p, value.n);
	return a[(*n)++].value.p != NULL;
}

/* Of an extra field; what is no number did not pass table_parse. */
static uint64_t
passwd_number(struct pm_str s)
{
	uint64_t v = 0;

	return table_number(s, &v) ? v : 0;
}

static bool
put_extra(const struct pm_call *call, struct pm_user *u, struct pm_str key, struct pm_str value)
{
	if (sdk_str_is(key, "nopop3"))
		u->rights &= ~PM_RIGHT_POP3;
	else if (sdk_str_is(key, "nodelete"))
		u->rights &= ~PM_RIGHT_DELETE;
	else if (sdk_str_is(key, "nodelivery"))
		u->rights &= ~PM_RIGHT_DELIVER;
	else if (sdk_str_is(key, "disabled") || sdk_str_is(key, "nologin"))
		u->state = PM_USER_DISABLED;
	else if (sdk_str_is(key, "quota_octets"))
		u->quota_octets = passwd_number(value);
	else if (sdk_str_is(key, "quota_messages"))
		u->quota_msgs = passwd_number(value);
	else if (sdk_str_is(key, "storage"))
		return (u->section = sdk_call_dup(call, value.p, value.n)).p != NULL;
	else if (sdk_str_is(key, "key") && value.n <= PM_KEY_MAX)
		return (u->key = sdk_call_dup(call, value.p, value.n)).p != NULL;
	return true; /* Dovecot's other fields are not ours to judge */
}

static int32_t
passwd_fill_user(const struct inst *i, const struct pm_call *call, const struct entry *e,
		 struct pm_str asked, struct pm_user *u)
{
	struct pm_attr *attr = call->alloc(call, 4 * sizeof(*attr));
	/* ann of a file per domain is another one in each */
	struct pm_str entry = i->strip_domain && !i->per_domain ? e->name : (struct pm_str){0};
	struct pm_str rest = e->extra, key, value;
	struct pm_user mine = *u;

	if (!attr)
		return PM_NOMEM;
	mine.name = sdk_call_dup(call, asked.p, asked.n);
	mine.attr = attr;
	if (!mine.name.p || !put_attr(call, attr, &mine.n_attr, "home", e->home) ||
	    !put_attr(call, attr, &mine.n_attr, "uid", e->uid) ||
	    !put_attr(call, attr, &mine.n_attr, "gid", e->gid) ||
	    !put_attr(call, attr, &mine.n_attr, "entry", entry))
		return PM_NOMEM;
	while (table_extra(&rest, &key, &value))
		if (!put_extra(call, &mine, key, value))
			return PM_NOMEM;
	*u = mine;
	return PM_OK;
}

static struct pm_str
passwd_domain_of(struct pm_str name)
{
	const char *at = name.n > 0 ? memrchr(name.p, '@', name.n) : NULL;

	return at ? (struct pm_str){at + 1, (size_t)(name.p + name.n - at) - 1}
		  : (struct pm_str){"", 0};
}

/* RFC 1939 s7: MD5 of the stamp and the shared secret, in hex. */
static int32_t
check_apop(const struct inst *i, const struct entry *e, const struct pm_cred *cred)
{
	static const char plain[] = "{PLAIN}";
	unsigned char md[EVP_MAX_MD_SIZE];
	char hex[33];
	unsigned n = 0;
	EVP_MD_CTX *ctx;
	int32_t rc = PM_DENIED;

	if (!i->limits.allow_plain || e->hash.n < sizeof(plain) ||
	    memcmp(e->hash.p, plain, sizeof(plain) - 1) != 0)
		return PM_DENIED;
	ctx = EVP_MD_CTX_new();
	if (ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, cred->challenge.p, cred->challenge.n) == 1 &&
	    EVP_DigestUpdate(ctx, e->hash.p + sizeof(plain) - 1, e->hash.n - sizeof(plain) + 1) ==
		    1 &&
	    EVP_DigestFinal_ex(ctx, md, &n) == 1 && n == 16) {
		for (unsigned k = 0; k < 16; k++)
			snprintf(hex + 2 * k, 3, "%02x", md[k]);
		if (cred->digest.n == 32)
			rc = sdk_password_equal(hex, cred->digest.p, 32);
	}
	EVP_MD_CTX_free(ctx);
	return rc;
}

static int32_t
check_secret(struct inst *i, const struct pm_call *call, const struct entry *e,
	     const struct pm_cred *cred)
{
	char why[WHY] = "";
	int32_t rc;

	if (cred->kind == PM_CRED_APOP)
		return check_apop(i, e, cred);
	rc = sdk_password_check(e->hash, cred->secret, &i->limits, why);
	if (rc != PM_UNSUPPORTED && rc != PM_CORRUPT)
		return rc;
	/* the account cannot be checked: not the client's fault, and an operator must hear of it */
	sdk_error(call, "user '%.*s': %s", (int)e->name.n, e->name.p, why);
	return PM_PERM;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* "No" is an answer only when the whole file was read. */
static int32_t
passwd_answer(const struct inst *i, const struct pm_call *call, enum source_state state, int32_t rc)
{
	if (rc == PM_OK || state == SOURCE_WHOLE || state == SOURCE_MISSING)
		return rc;
	if (state == SOURCE_FAILED)
		sdk_error(call, "'%s' could not be read", i->file);
	else
		sdk_error(call, "'%s' is being written: it is not known yet who is in it", i->file);
	return PM_TEMP;
}

static int32_t
passwd_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	      struct pm_user *ret)
{
	struct inst *i = inst;
	struct pm_str domain = passwd_domain_of(cred->authcid);
	enum source_state state;
	const struct entry *e;
	struct table *t;
	int32_t rc;

	if (cred->kind != PM_CRED_PASSWORD && cred->kind != PM_CRED_APOP)
		return PM_UNSUPPORTED;
	if (cred->kind == PM_CRED_PASSWORD && cred->secret.n == 0)
		return PM_DENIED;
	t = source_table(i, domain.p, domain.n, &state);
	e = passwd_find(i, t, state, cred->authcid);
	if (!e) {
		if (cred->kind == PM_CRED_PASSWORD && state != SOURCE_FAILED)
			sdk_password_burn(t ? t->usual : (struct pm_str){NULL, 0}, cred->secret,
					  &i->limits);
		rc = i->deny_unknown ? PM_DENIED : PM_NEXT;
	} else {
		rc = check_secret(i, call, e, cred);
		if (rc == PM_OK)
			rc = passwd_fill_user(i, call, e, cred->authcid, ret);
	}
	table_put(t);
	return passwd_answer(i, call, state, rc);
}

static int32_t
passwd_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	      struct pm_user *ret)
{
	struct inst *i = inst;
	struct pm_str domain = passwd_domain_of(cred->authcid);
	enum source_state state;
	const struct entry *e;
	struct table *t;
	int32_t rc;

	if (cred->authcid.n == 0)
		return PM_NOENT;
	t = source_table(i, domain.p, domain.n, &state);
	e = passwd_find(i, t, state, cred->authcid);
	rc = e ? passwd_fill_user(i, call, e, cred->authcid, ret) : PM_NOENT;
	table_put(t);
	return passwd_answer(i, call, state, rc);
}

static int32_t
passwd_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	      struct pm_secret *ret_secret, struct pm_user *ret)
{
	struct inst *i = inst;
	struct pm_str domain = passwd_domain_of(cred->authcid);
	struct pm_secret secret = *ret_secret;
	enum source_state state;
	const struct entry *e;
	struct table *t;
	int32_t rc;

	if (cred->authcid.n == 0)
		return PM_NOENT;
	if (!i->limits.allow_plain)
		secret.kinds &= ~PM_SECRET_PLAIN;
	t = source_table(i, domain.p, domain.n, &state);
	e = passwd_find(i, t, state, cred->authcid);
	rc = e ? sdk_password_secret(call, e->hash, &secret) : PM_NOENT;
	if (rc == PM_OK)
		rc = passwd_fill_user(i, call, e, cred->authcid, ret);
	if (rc == PM_OK)
		*ret_secret = secret;
	table_put(t);
	return passwd_answer(i, call, state, rc);
}

static int32_t
passwd_domain(void *inst, const struct pm_call *call, struct pm_str name)
{
	struct inst *i = inst;
	enum source_state state;

	if (!i->per_domain)
		return PM_UNSUPPORTED; /* the routing of the configuration knows */
	table_put(source_table(i, name.p, name.n, &state));
	return passwd_answer(i, call, state,
			     state == SOURCE_MISSING  ? PM_NOENT
			     : state == SOURCE_FAILED ? PM_TEMP
						      : PM_OK);
}

static int32_t
passwd_caps(void *inst, uint64_t *ret_kinds)
{
	const struct inst *i = inst;

	*ret_kinds = 1u << PM_CRED_PASSWORD |
		     (uint64_t)(PM_SECRET_SCRAM_SHA1 | PM_SECRET_SCRAM_SHA256) << 16;
	if (i->limits.allow_plain)
		*ret_kinds |= 1u << PM_CRED_APOP | (uint64_t)PM_SECRET_PLAIN << 16;
	return PM_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* One account, and a name of it in each domain? */
static void
passwd_check_domains(const struct pm_open *open, const char *path)
{
	bool any = open->flags & PM_OPENF_ANY_DOMAIN;

	if (!sdk_opt_num(open, "strip_domain", 0) || strstr(path, "%d") ||
	    !(any || open->flags & PM_OPENF_MANY_DOMAINS) || open->purpose != PM_PURPOSE_SERVER)
		return;
	sdk_log(open->host, PM_LOG_WARNING,
		"strip_domain: ann of '%s' is ann@example.org, and ann@%s as well: mail for either "
		"is "
		"taken, and where mailboxes are found by the name (%%u, %%d, a database) into one "
		"for "
		"each, which nobody may read; set domains = ... to one domain",
		path, any ? "any.other.domain" : "each other of its domains");
}

static int32_t
passwd_check(const struct pm_open *open)
{
	struct pm_str file = sdk_opt_str(open, "file");
	char err[256] = "", *path = sdk_strdup(file);
	struct table *t;

	if (!path)
		return PM_NOMEM;
	passwd_check_domains(open, path);
	if (strstr(path, "%d")) {
		free(path);
		return PM_OK; /* files of domains may come and go */
	}
	t = look_once(open->host, path, open->flags & PM_OPENF_LOWER_NAMES, err, sizeof(err));
	if (open->flags & PM_OPENF_DOMAINS)
		sdk_report(open, "file",
			   "'%s' does not say which domains are ours: with SMTP and "
			   "unknown_recipient = badmail mail to "
			   "any would be kept: set domains = ... in this section, or use a file "
			   "per domain (%%d)",
			   path);
	if (!t)
		sdk_report(open, "file", "'%s': %s", path, err);
	else if (t->n == 0 && t->odd.n == 0)
		sdk_log(open->host, PM_LOG_WARNING, "'%s' holds no accounts", path);
	look_say_odd(open->host, path, t);
	free(path);
	table_put(t);
	return t && !(open->flags & PM_OPENF_DOMAINS) ? PM_OK : PM_INVALID;
}

static void
passwd_close(void *inst)
{
	struct inst *i = inst;

	while (i->sources) {
		struct source *s = i->sources;

		i->sources = s->next;
		table_put(s->table);
		free(s->domain);
		free(s->path);
		free(s);
	}
	pthread_cond_destroy(&i->read);
	pthread_mutex_destroy(&i->mutex);
	free(i->root);
	free(i->file);
	free(i);
}

static int32_t
passwd_open(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"file_errors", NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	pthread_mutex_init(&i->mutex, NULL);
	pthread_cond_init(&i->read, NULL);
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->file = sdk_strdup(sdk_opt_str(open, "file"));
	i->root = i->file ? sdk_path_prefix(i->file) : NULL;
	if (!i->root) {
		passwd_close(i);
		return PM_NOMEM;
	}
	i->lower = open->flags & PM_OPENF_LOWER_NAMES;
	i->per_domain = strstr(i->file, "%d") != NULL;
	i->strip_domain = sdk_opt_num(open, "strip_domain", 0) != 0;
	i->deny_unknown = sdk_opt_num(open, "unknown", 0) == 0;
	i->limits = (struct sdk_password_limits){
		.max_rounds = (uint32_t)sdk_opt_num(open, "max_rounds", 0),
		.max_log_cost = (uint32_t)sdk_opt_num(open, "max_log_cost", 0),
		.max_memory_kib = (uint32_t)sdk_opt_num(open, "max_memory_kib", 0),
		.allow_plain = (uint32_t)sdk_opt_num(open, "allow_plain", 0),
	};
	*ret_inst = i;
	return PM_OK;
}

static const struct pm_option options[] = {
	SDK_OPT("file", PM_OPT_PATH, PM_OPTF_REQUIRED, "", "",
		"the passwd-file; with %d one per domain"),
	SDK_OPT("strip_domain", PM_OPT_BOOL, 0, "", "no",
		"look for ann when ann@example.org is not there"),
	SDK_OPT("unknown", PM_OPT_CHOICE, 0, "deny|next", "deny",
		"a user who is not in the file: refused, or the next section's"),
	SDK_OPT("allow_plain", PM_OPT_BOOL, 0, "", "no", "accept {PLAIN} passwords"),
	SDK_OPT("max_rounds", PM_OPT_NUMBER, 0, "", "5000000",
		"hashes that cost more rounds are refused"),
	SDK_OPT("max_log_cost", PM_OPT_NUMBER, 0, "", "16",
		"log2 cost of bcrypt, scrypt, yescrypt"),
	SDK_OPT("max_memory_kib", PM_OPT_NUMBER, 0, "", "1048576",
		"memory of argon2, yescrypt and scrypt hashes"),
};

static const struct pm_life life = {
	.size = sizeof(life),
	.check = passwd_check,
	.open = passwd_open,
	.close = passwd_close,
};

static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = passwd_caps,
	.verify = passwd_verify,
	.lookup = passwd_lookup,
	.secret = passwd_secret,
	.domain = passwd_domain,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BURN,
	.name = SDK_STR("passwd"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.option_stride = sizeof(options[0]),
	.life = &life,
	.auth = &auth,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
