/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <ldap.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf.h"
#include "say.h"
#include "search.h"
#include "tls.h"

/* ---- reading one value ----------------------------------------------------------------------- */

/* The state of settings_read. */
struct reader {
	struct settings *s;
	const struct pm_open *open;
	int32_t rc;
};

#define WRONG(r, key, ...) \
	do { \
		sdk_report((r)->open, key, __VA_ARGS__); \
		(r)->rc = PM_INVALID; \
	} while (0)

/* A copy of a text; NULL: not given. */
static char *
settings_text(struct reader *r, const char *key)
{
	struct pm_str v = sdk_opt_str(r->open, key);
	char *copy = v.n > 0 ? sdk_strdup(v) : NULL;

	if (v.n > 0 && !copy)
		r->rc = PM_NOMEM;
	return copy;
}

static char *
settings_file(struct reader *r, const char *key)
{
	char *path = settings_text(r, key);

	if (path && access(path, F_OK) != 0)
		WRONG(r, key, "'%s': there is no such file", path);
	return path;
}

static char *
settings_template(struct reader *r, const char *key, enum template_kind kind, const char *allowed)
{
	char *t = settings_text(r, key);
	const char *fault = t ? template_fault(t, kind, allowed) : NULL;

	if (fault)
		WRONG(r, key, "'%s': %s", t, fault);
	return t;
}

/* ---- servers --------------------------------------------------------------------------------- */

static void
take_server(struct reader *r, struct server *to, struct pm_str uri)
{
	struct sockaddr_un sun;
	LDAPURLDesc *u = NULL;

	to->uri = sdk_strdup(uri);
	if (!to->uri || ldap_url_parse(to->uri, &u) != LDAP_URL_SUCCESS) {
		WRONG(r, "server", "'%.*s': expected ldap://host, ldaps://host or ldapi://%%2Fpath",
		      (int)uri.n, uri.p);
		return;
	}
	to->ldaps = strcmp(u->lud_scheme, "ldaps") == 0;
	if (strcmp(u->lud_scheme, "ldapi") == 0) {
		to->path = u->lud_host && *u->lud_host ? strdup(u->lud_host) : NULL;
		if (!to->path || *to->path != '/' || strlen(to->path) >= sizeof(sun.sun_path))
			WRONG(r, "server",
			      "'%s': expected the path of a socket, each '/' as %%2F, at most 107 "
			      "bytes",
			      to->uri);
	} else {
		to->host = u->lud_host && *u->lud_host ? strdup(u->lud_host) : NULL;
		snprintf(to->port, sizeof(to->port), "%d",
			 u->lud_port ? u->lud_port
			 : to->ldaps ? 636
				     : 389);
		if (!to->host)
			WRONG(r, "server", "'%s': it names no host", to->uri);
	}
	if (u->lud_dn && *u->lud_dn)
		WRONG(r, "server", "'%s': a DN has no place here, see base", to->uri);
	ldap_free_urldesc(u);
}

static void
take_servers(struct reader *r)
{
	struct settings *s = r->s;
	const struct pm_value *v;

	for (uint32_t i = 0; (v = sdk_opt(r->open, "server", i)); i++) {
		if (s->n_servers == SERVERS_MAX) {
			WRONG(r, "server", "at most %d servers", SERVERS_MAX);
			return;
		}
		take_server(r, &s->servers[s->n_servers++], v->str);
	}
}

static bool
settings_local(const struct server *v)
{
	return !v->host || strcmp(v->host, "127.0.0.1") == 0 || strcmp(v->host, "::1") == 0 ||
	       strcmp(v->host, "localhost") == 0;
}

static void
take_tls(struct reader *r)
{
	struct settings *s = r->s;

	s->starttls = sdk_opt_num(r->open, "starttls", 1) != 0;
	s->tls_ca = settings_file(r, "tls_ca");
	s->tls_cert = settings_file(r, "tls_cert");
	s->tls_key = settings_file(r, "tls_key");
	s->tls13 = sdk_opt_num(r->open, "tls_min", 0) == 1;
	if (!s->tls_cert != !s->tls_key)
		WRONG(r, "tls_cert", "tls_cert and tls_key are given together, or not at all");
	for (size_t i = 0; i < s->n_servers; i++)
		if (!s->starttls && !s->servers[i].ldaps && !settings_local(&s->servers[i]))
			sdk_log(r->open->host, PM_LOG_WARNING,
				"%s without starttls: passwords cross the network in clear text",
				s->servers[i].uri);
}

/* A file without any is no error for GnuTLS: nobody is trusted then. */
static bool
holds_certificate(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, "-----BEGIN ") && strstr(line, "CERTIFICATE-----");
	if (f)
		(void)fclose(f);
	return found;
}

/* Can the files be used? Only what we may read: whoever checks a configuration need not be who
 * runs the server. */
static void
check_tls_files(struct reader *r)
{
	const struct settings *s = r->s;
	const char *const files[] = {s->tls_ca, s->tls_cert, s->tls_key};
	struct tls *t = NULL;
	LDAP *ld = NULL;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] && access(files[i], R_OK) != 0)
			return;
	if (s->tls_ca && !holds_certificate(s->tls_ca))
		WRONG(r, "tls_ca", "'%s' holds no certificate: PEM form is expected", s->tls_ca);
	if ((s->tls_ca || s->tls_cert) && r->rc == PM_OK && (t = tls_new()) &&
	    ldap_create(&ld) == LDAP_SUCCESS && !tls_apply(t, s, ld))
		WRONG(r, s->tls_cert ? "tls_cert" : "tls_ca",
		      "cannot be used: certificates in PEM form are expected, in tls_key the key "
		      "of tls_cert without a password");
	if (ld)
		(void)ldap_unbind_ext(ld, NULL, NULL);
	tls_free(t);
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void
take_service(struct reader *r)
{
	struct settings *s = r->s;

	s->bind_dn = settings_text(r, "bind_dn");
	s->bind_password = settings_text(r, "bind_password");
	s->bind_external = sdk_opt_num(r->open, "bind_external", 0) != 0;
	/* RFC 4513 section 5.1.2: a DN without password binds as nobody */
	if (!s->bind_dn != !s->bind_password)
		WRONG(r, "bind_dn", "bind_dn and bind_password are given together, or not at all");
	if (s->bind_dn && s->bind_external)
		WRONG(r, "bind_external",
		      "with bind_external there is no bind_dn: who binds is known by the socket or "
		      "the certificate");
}

/* The template with a name in its places; NULL: it is none, which was said already, or there is
 * no memory. */
static char *
settings_sample(const char *t, enum template_kind kind, const char *allowed)
{
	struct template_names names = {SDK_STR("a"), SDK_STR("a"), SDK_STR("a"), SDK_STR("a")};
	int32_t rc;

	return t && !template_fault(t, kind, allowed) ? template_fill(t, kind, &names, &rc) : NULL;
}

static void
check_filter(struct reader *r, const char *key, const char *filter, const char *allowed)
{
	char *filled = settings_sample(filter, TEMPLATE_FILTER, allowed);

	if (filled && !search_filter_ok(filled))
		WRONG(r, key, "'%s' is no search filter (RFC 4515)", filter);
	free(filled);
}

static bool
dn_ok(const char *dn)
{
	LDAPDN parsed = NULL;
	bool good = ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS;

	ldap_dnfree(parsed);
	return good;
}

static void
check_dn(struct reader *r, const char *key, const char *dn)
{
	char *filled = settings_sample(dn, TEMPLATE_DN, "und");

	if (filled && !dn_ok(filled))
		WRONG(r, key, "'%s' is no DN (RFC 4514)", dn);
	free(filled);
}

static void
take_search(struct reader *r)
{
	static const int scopes[] = {LDAP_SCOPE_SUBTREE, LDAP_SCOPE_ONELEVEL, LDAP_SCOPE_BASE};
	struct settings *s = r->s;

	s->base = settings_template(r, "base", TEMPLATE_DN, "und");
	s->filter = settings_template(r, "filter", TEMPLATE_FILTER, "und");
	s->scope = scopes[sdk_opt_num(r->open, "scope", 0) % 3];
	s->user_dn = settings_text(r, "user_dn");
	if (s->user_dn) {
		s->user_dn_kind = template_bind_kind(s->user_dn);
		free(s->user_dn);
		s->user_dn = settings_template(r, "user_dn", s->user_dn_kind, "und");
	}
	if (s->user_dn && !template_has(s->user_dn, 'u') && !template_has(s->user_dn, 'n'))
		WRONG(r, "user_dn", "'%s' holds neither %%u nor %%n: every user would be the same",
		      s->user_dn);
	if (!s->user_dn && !s->base)
		WRONG(r, "base", "base is missing (or user_dn, for a direct bind)");
	if (s->filter && !template_has(s->filter, 'u') && !template_has(s->filter, 'n'))
		WRONG(r, "filter", "'%s' holds neither %%u nor %%n: every user would be the same",
		      s->filter);
	if (s->user_dn && s->user_dn_kind == TEMPLATE_DN)
		check_dn(r, "user_dn", s->user_dn);
	check_dn(r, "base", s->base);
	check_filter(r, "filter", s->filter, "und");
}

const char *
settings_blind(const struct settings *s)
{
	if (!s->user_dn)
		return NULL; /* whom the search does not find cannot log in either */
	if (!s->bind_dn && !s->bind_external)
		return "user_dn without bind_dn or bind_external";
	return s->user_dn_kind != TEMPLATE_DN && !s->base ? "user_dn is no DN, and there is no base"
							  : NULL;
}

/* Mail that comes in is for names without a password. */
static void
check_lookups(struct reader *r)
{
	const char *why = settings_blind(r->s);

	if (why && r->open->flags & PM_OPENF_LOOKUPS)
		WRONG(r, "user_dn",
		      "names cannot be looked up without a password (%s), so the mail of this "
		      "section's users, "
		      "which comes in by lmtp or smtp, would wait at its sender (451)",
		      why);
}

static void
take_groups(struct reader *r)
{
	struct settings *s = r->s;
	const struct pm_value *v;

	for (uint32_t i = 0; (v = sdk_opt(r->open, "require_group", i)); i++) {
		if (v->str.n == 0)
			continue;
		if (s->n_groups == REQUIRED_GROUPS_MAX) {
			WRONG(r, "require_group", "at most %d groups", REQUIRED_GROUPS_MAX);
			return;
		}
		s->groups[s->n_groups] = sdk_strdup(v->str);
		if (!s->groups[s->n_groups]) {
			r->rc = PM_NOMEM;
			return;
		}
		if (!dn_ok(s->groups[s->n_groups++]))
			WRONG(r, "require_group", "'%.*s' is no DN (RFC 4514)", (int)v->str.n,
			      v->str.p);
	}
	s->group_filter = settings_template(r, "group_filter", TEMPLATE_FILTER, "undD");
	check_filter(r, "group_filter", s->group_filter, "undD");
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* RFC 4512 section 2.5: an attribute description. */
static bool
attribute_ok(const char *t)
{
	return *t &&
	       strspn(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-;.") ==
		       strlen(t);
}

static void
take_attributes(struct reader *r)
{
	static const char *const keys[MAP_N] = {
		[MAP_NAME] = "name_attribute",
		[MAP_KEY] = "key_attribute",
		[MAP_SECTION] = "section_attribute",
		[MAP_QUOTA] = "quota_attribute",
		[MAP_QUOTA_MESSAGES] = "quota_messages_attribute",
		[MAP_EXPIRE] = "expire_attribute",
		[MAP_RIGHTS] = "rights_attribute",
		[MAP_GROUP] = "group_attribute",
		[MAP_HOME] = "home_attribute",
	};
	struct settings *s = r->s;

	for (int i = 0; i < MAP_N; i++) {
		s->attr[i] = settings_text(r, keys[i]);
		if (s->attr[i] && !attribute_ok(s->attr[i]))
			WRONG(r, keys[i], "'%s' is no name of an attribute", s->attr[i]);
	}
	if (!s->attr[MAP_NAME] && s->filter && !template_fault(s->filter, TEMPLATE_FILTER, "und")) {
		s->attr[MAP_NAME] = sdk_strdup(template_name_attribute(s->filter, &s->name_letter));
		if (!s->attr[MAP_NAME])
			r->rc = PM_NOMEM;
		else if (s->name_letter && !attribute_ok(s->attr[MAP_NAME]))
			WRONG(r, "name_attribute", "cannot be told from filter: name it");
	}
}

static void
take_name_domain(struct reader *r)
{
	const struct pm_open *o = r->open;

	if (o->size < offsetof(struct pm_open, name_domain) + sizeof(o->name_domain) ||
	    o->name_domain.n == 0)
		return; /* of a host that does not tell, or appends nothing */
	r->s->name_domain = sdk_strdup(o->name_domain);
	if (!r->s->name_domain)
		r->rc = PM_NOMEM;
}

/* Values with an @, by what the attribute is for (RFC 4524; Active Directory). */
static bool
holds_addresses(const char *attr)
{
	return strcasecmp(attr, "mail") == 0 || strcasecmp(attr, "rfc822Mailbox") == 0 ||
	       strcasecmp(attr, "userPrincipalName") == 0;
}

/* One person in each domain that is asked for: nothing that finds the entry has the domain. */
static void
check_domains(struct reader *r)
{
	const struct settings *s = r->s;
	const char *templates[] = {s->base, s->filter, s->user_dn};

	if (!(r->open->flags & (PM_OPENF_ANY_DOMAIN | PM_OPENF_MANY_DOMAINS)) ||
	    s->name_letter != 'n' || s->attr[MAP_KEY] || r->open->purpose != PM_PURPOSE_SERVER)
		return;
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (templates[i] && (strstr(templates[i], "%d") || strstr(templates[i], "%u")))
			return;
	sdk_log(r->open->host, PM_LOG_WARNING,
		"filter: %%n finds ann for ann@a.example and for ann@b.example, and names her so: "
		"mail "
		"for either is taken, into two mailboxes of one person; set domains = ... to one "
		"domain, or name_attribute and name_domain");
}

/* Other sections' accounts have mail in the same storage section, or in undo_storage; the host does
 * not tell which: two people, and one mailbox? */
static void
check_names(struct reader *r)
{
	static const enum mapped places[] = {MAP_KEY, MAP_HOME};
	const struct settings *s = r->s;

	if (r->open->flags & PM_OPENF_WHOLE_NAMES && s->attr[MAP_NAME] && !s->name_letter &&
	    !holds_addresses(s->attr[MAP_NAME]))
		WRONG(r, "name_attribute",
		      "'%s' gives names without a domain, and another section has mail in the same "
		      "storage section, or in undo_storage: two people of one name would have one "
		      "mailbox; set name_domain in this section, to one of its domains",
		      s->attr[MAP_NAME]);
	for (size_t i = 0; r->open->flags & PM_OPENF_SHARED && i < 2; i++)
		if (s->attr[places[i]])
			sdk_log(r->open->host, PM_LOG_WARNING,
				"%s: another section has mail in the same storage section, or in "
				"undo_storage: nobody there may have the same %s",
				s->attr[places[i]], places[i] == MAP_KEY ? "key" : "home");
}

static void
take_limits(struct reader *r)
{
	struct settings *s = r->s;

	s->deny_unknown = sdk_opt_num(r->open, "unknown", 0) == 0;
	s->connect_ms = sdk_opt_num(r->open, "connect_timeout", 2000);
	s->answer_ms = sdk_opt_num(r->open, "timeout", 3000);
	s->idle_ms = sdk_opt_num(r->open, "idle_timeout", 60) * 1000;
	if (s->connect_ms < 50 || s->connect_ms > 60000)
		WRONG(r, "connect_timeout", "expected 50 ms to 60 s");
	if (s->answer_ms < 50 || s->answer_ms > 60000)
		WRONG(r, "timeout", "expected 50 ms to 60 s");
	if (s->idle_ms < 1000 || s->idle_ms > 86400000)
		WRONG(r, "idle_timeout", "expected 1 s to 1 day");
}

int32_t
settings_read(struct settings *s, const struct pm_open *open)
{
	struct reader r = {.s = s, .open = open, .rc = PM_OK};

	take_servers(&r);
	take_tls(&r);
	take_service(&r);
	take_search(&r);
	take_groups(&r);
	take_attributes(&r);
	take_limits(&r);
	take_name_domain(&r);
	check_lookups(&r);
	check_names(&r);
	check_domains(&r);
	check_tls_files(&r);
	return r.rc;
}

void
settings_free(struct settings *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		free(s->servers[i].uri);
		free(s->servers[i].host);
		free(s->servers[i].path);
	}
	if (s->bind_password)
		explicit_bzero(s->bind_password, strlen(s->bind_password));
	free(s->bind_password);
	free(s->bind_dn);
	free(s->tls_ca);
	free(s->tls_cert);
	free(s->tls_key);
	free(s->user_dn);
	free(s->name_domain);
	free(s->base);
	free(s->filter);
	free(s->group_filter);
	for (int i = 0; i < MAP_N; i++)
		free(s->attr[i]);
	for (size_t i = 0; i < s->n_groups; i++)
		free(s->groups[i]);
}
