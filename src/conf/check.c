/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/domain.h"
#include "config.h"

struct checker {
	struct conf *c;
	struct conf_errors *e;
};

static struct conf_section *
check_find_section(struct conf_section *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* The cache stands before the gate: where a section is asked directly, and only for accounts. */
static void
check_cache(struct checker *k, const struct conf_section *s)
{
	bool given = s->cache_ms != -1 || s->cache_negative_ms != -1 || s->cache_size != -1 ||
		     s->last_known_good_ms != -1;

	if (given && s->kind != CONF_AUTH)
		conf_error(k->e, &s->where,
			   "storage %s: cache, cache_negative, cache_size and last_known_good are "
			   "settings "
			   "of auth sections",
			   s->name);
	else if (given && s->only_wrapped)
		conf_error(k->e, &s->where,
			   "auth %s: cache, cache_negative, cache_size and last_known_good belong "
			   "into the "
			   "section that wraps this one",
			   s->name);
}

/* Names with this domain are to lead back to the section. */
static bool
names_lead_back(const struct conf_section *s)
{
	for (size_t i = 0; i < s->n_domains; i++)
		if (conf_domain_fits(s->domains[i], s->name_domain))
			return true;
	return s->n_domains == 0;
}

static void
check_name_domain(struct checker *k, const struct conf_section *s)
{
	if (s->kind != CONF_AUTH || s->only_wrapped)
		conf_error(k->e, &s->where, "%s %s: name_domain belongs into %s",
			   s->kind == CONF_AUTH ? "auth" : "storage", s->name,
			   s->kind == CONF_AUTH ? "the section that wraps this one"
						: "an auth section");
	else if (strcmp(s->name_domain, CONF_NAME_BARE) == 0)
		return;
	else if (strpbrk(s->name_domain, "@*/ \t"))
		conf_error(k->e, &s->where,
			   "auth %s: name_domain = %s: expected a domain, such as example.org, or "
			   "none",
			   s->name, s->name_domain);
	else if (!names_lead_back(s))
		conf_error(k->e, &s->where,
			   "auth %s: name_domain = %s is none of its domains: the section would "
			   "not be asked about its own accounts",
			   s->name, s->name_domain);
}

/* At most one of those with mail in one place may call its accounts as it likes. */
static void
check_bare_names(struct checker *k, size_t i)
{
	const struct conf_section *list = k->c->auth, *s = &list[i];

	for (size_t j = 0; j < i; j++) {
		const struct conf_section *o = &list[j];

		if (!s->name_domain || !o->name_domain || s->only_wrapped || o->only_wrapped ||
		    strcmp(s->name_domain, CONF_NAME_BARE) != 0 ||
		    strcmp(o->name_domain, CONF_NAME_BARE) != 0)
			continue;
		if (k->c->undo_storage || !s->storage || !o->storage ||
		    strcmp(s->storage, o->storage) == 0)
			conf_error(k->e, &s->where,
				   "auth %s: name_domain = none, and auth %s has it too: two of "
				   "their accounts that are called the same would have one "
				   "mailbox%s; give one of them a domain%s",
				   s->name, o->name, k->c->undo_storage ? " in undo_storage" : "",
				   k->c->undo_storage ? "" : ", or a storage section of its own");
	}
}

static void
check_sections(struct checker *k, struct conf_section *list, size_t n, const char *kind)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_section *s = &list[i], *inner;

		if (check_find_section(list, i, s->name))
			conf_error(k->e, &s->where, "%s %s: there is another section of this name",
				   kind, s->name);
		if (!s->wrap)
			continue;
		/* only an earlier section: no circles, and it is open when this one is opened */
		inner = check_find_section(list, i, s->wrap);
		if (!inner) {
			conf_error(k->e, &s->where,
				   "%s %s: wrap = %s: expected a %s section above this one", kind,
				   s->name, s->wrap, kind);
			continue;
		}
		if (inner->only_wrapped)
			conf_error(k->e, &s->where, "%s %s: %s is wrapped already", kind, s->name,
				   s->wrap);
		inner->only_wrapped = true;
	}
	for (size_t i = 0; i < n; i++) {
		check_cache(k, &list[i]);
		if (list[i].name_domain)
			check_name_domain(k, &list[i]);
	}
}

static size_t
usable_storage(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_storage; i++)
		n += !c->storage[i].only_wrapped && !c->storage[i].for_undo;
	return n;
}

static void
check_auth_storage(struct checker *k)
{
	struct conf *c = k->c;

	for (size_t i = 0; i < c->n_auth; i++) {
		struct conf_section *s = &c->auth[i], *target;

		check_bare_names(k, i);
		if (s->only_wrapped)
			continue;
		target = s->storage ? check_find_section(c->storage, c->n_storage, s->storage)
				    : NULL;
		if (s->storage && !target)
			conf_error(k->e, &s->where,
				   "auth %s: storage = %s: there is no such storage section",
				   s->name, s->storage);
		if (target && target->only_wrapped)
			conf_error(k->e, &s->where,
				   "auth %s: storage = %s: another section wraps it; name that one",
				   s->name, s->storage);
		if (target && target->for_undo)
			conf_error(k->e, &s->where,
				   "auth %s: storage = %s: that one keeps deleted mail "
				   "(undo_storage); accounts need "
				   "another",
				   s->name, s->storage);
		if (!s->storage && usable_storage(c) > 1)
			conf_error(
				k->e, &s->where,
				"auth %s: storage is missing; there are several storage sections",
				s->name);
	}
}

/* Rules for listeners of mail coming in, and for unix sockets. */
static void
check_delivery(struct checker *k, const struct conf_listener *l)
{
	if (l->protocol == CONF_LMTP && l->port == 25)
		conf_error(k->e, &l->where,
			   "listener %s: port = 25 is SMTP's: RFC 2033 section 5 forbids LMTP "
			   "there; 24 is usual",
			   l->name);
	if (l->protocol == CONF_SMTP && !k->c->delivery.postmaster)
		conf_error(k->e, &l->where,
			   "listener %s: protocol = smtp needs postmaster = ACCOUNT in a delivery "
			   "block "
			   "(RFC 5321 section 4.5.1)",
			   l->name);
	if (l->path && l->tls != CONF_TLS_NONE)
		conf_error(k->e, &l->where, "listener %s: path = %s: no tls on a unix socket",
			   l->name, l->path);
	if (l->path && l->protocol == CONF_POP3)
		conf_error(k->e, &l->where,
			   "listener %s: path = %s: only lmtp and smtp are spoken on a unix socket",
			   l->name, l->path);
	if (l->path && strlen(l->path) > 107)
		conf_error(k->e, &l->where,
			   "listener %s: path = %s: a socket's path has at most 107 octets",
			   l->name, l->path);
}

/* Two of them cannot have the same place. */
static bool
same_place(const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->path && b->path)
		return strcmp(a->path, b->path) == 0;
	return a->address && b->address && strcmp(a->address, b->address) == 0 &&
	       a->port == b->port && a->port != 0;
}

static void
check_proxy(struct checker *k, const struct conf_listener *l)
{
	if (l->proxy == CONF_PROXY_REQUIRED && l->n_proxy_from == 0)
		conf_error(k->e, &l->where,
			   "listener %s: proxy = required needs proxy_from: the addresses of the "
			   "proxies "
			   "that are believed, e.g. 10.0.0.5 or 10.0.0.0/24",
			   l->name);
	if (l->proxy == CONF_PROXY_OFF && l->n_proxy_from > 0)
		conf_error(k->e, &l->where,
			   "listener %s: proxy_from does nothing without proxy = required",
			   l->name);
}

static void
check_listeners(struct checker *k)
{
	struct conf *c = k->c;
	const struct conf_where top = {c->file, 1, 1};

	if (c->n_listeners == 0)
		conf_error(k->e, &top, "no listener: add 'listener pop3 {' with address and port");
	for (size_t i = 0; i < c->n_listeners; i++) {
		struct conf_listener *l = &c->listeners[i];

		for (size_t j = 0; j < i; j++) {
			struct conf_listener *other = &c->listeners[j];

			if (strcmp(other->name, l->name) == 0)
				conf_error(k->e, &l->where,
					   "listener %s: there is another one of this name",
					   l->name);
			if (same_place(l, other) && l->path)
				conf_error(k->e, &l->where,
					   "listener %s: %s is listener %s's already", l->name,
					   l->path, other->name);
			else if (same_place(l, other))
				conf_error(k->e, &l->where,
					   "listener %s: %s port %u is listener %s's already",
					   l->name, l->address, l->port, other->name);
		}
		if (l->tls != CONF_TLS_NONE && (!c->tls_certificate || !c->tls_key))
			conf_error(k->e, &l->where,
				   "listener %s: tls needs certificate and key in a tls block, "
				   "or tls = none here",
				   l->name);
		check_delivery(k, l);
		check_proxy(k, l);
		if (l->protocol == CONF_POP3 && l->tls == CONF_TLS_NONE && !l->plaintext_login &&
		    l->proxy == CONF_PROXY_OFF)
			conf_error(k->e, &l->where,
				   "listener %s: tls = none and plaintext_login = refuse: nobody "
				   "could log in",
				   l->name);
	}
}

static bool
is_loopback(const char *address)
{
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, address, &in) == 1)
		return ntohl(in.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

/* Numbers about everybody's mail, without a password: for this machine only. */
static void
check_metrics(struct checker *k)
{
	const struct conf_listener *m = &k->c->metrics;

	if (!m->name)
		return;
#ifndef HAVE_MICROHTTPD
	conf_error(k->e, &m->where,
		   "metrics: this restante was built without libmicrohttpd and cannot serve them: "
		   "leave the block "
		   "out; restantectl metrics prints the same text");
#endif
	if (!m->path && m->address && !is_loopback(m->address))
		conf_error(
			k->e, &m->where,
			"metrics: address = %s: expected a loopback address, 127.0.0.1 or ::1: "
			"nobody is asked for a "
			"password there; put a proxy that asks before it, if others are to read it",
			m->address);
	if (m->path && strlen(m->path) > 107)
		conf_error(k->e, &m->where,
			   "metrics: path = %s: a socket's path has at most 107 octets", m->path);
	for (size_t i = 0; i < k->c->n_listeners; i++)
		if (same_place(m, &k->c->listeners[i]))
			conf_error(k->e, &m->where, "metrics: this place is listener %s's already",
				   k->c->listeners[i].name);
}

static void
check_top(struct checker *k)
{
	struct conf *c = k->c;
	const struct conf_where top = {c->file, 1, 1};

	if (c->config_version == 0)
		conf_error(k->e, &top,
			   "config_version is missing: write 'config_version = 1' at the top");
	if (c->n_auth == 0)
		conf_error(k->e, &top, "no auth section: nobody could log in");
	if (c->delivery.unknown_recipient == CONF_UNKNOWN_BADMAIL && !c->badmail.path)
		conf_error(k->e, &top,
			   "delivery: unknown_recipient = badmail needs a badmail block");
	if (c->delivery.delimiter && strcmp(c->delivery.delimiter, "none") == 0)
		c->delivery.delimiter = NULL;
	if (c->n_storage == 0)
		conf_error(k->e, &top, "no storage section: there is no mail");
	if (c->log_sink == CONF_LOG_FILE && !c->log_file)
		conf_error(k->e, &top, "log: to = file needs file = /...");
	if (strcmp(c->tls_min_version, "1.2") != 0 && strcmp(c->tls_min_version, "1.3") != 0)
		conf_error(k->e, &top, "tls: min_version = %s: expected 1.2 or 1.3",
			   c->tls_min_version);
	if (c->reserve == 0)
		c->reserve = c->workers / 8 > 2 ? c->workers / 8 : 2;
	if (c->reserve >= c->workers)
		conf_error(k->e, &top, "reserve = %u must be less than workers = %u", c->reserve,
			   c->workers);
}

static bool
check_has_volume(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_volumes; i++)
		if (strcmp(c->volumes[i].name, name) == 0)
			return true;
	return false;
}

static void
check_volume_name(struct checker *k, const struct conf_where *w, const char *what, const char *name)
{
	if (name && !check_has_volume(k->c, name))
		conf_error(k->e, w, "%s%s = %s: there is no such volume block", what,
			   *what ? ": volume" : "state_volume", name);
}

/* A volume guards what is on it, and nothing else. */
static void
check_on_volume(struct checker *k, const struct conf_where *w, const char *what, const char *path,
		const char *name)
{
	for (size_t i = 0; path && name && i < k->c->n_volumes; i++) {
		const struct conf_volume *v = &k->c->volumes[i];
		const char *top = v->mount ? v->mount : v->path;
		size_t n = top ? strlen(top) : 0;

		if (strcmp(v->name, name) == 0 && n > 1 &&
		    (strncmp(path, top, n) != 0 ||
		     (path[n] && path[n] != '/' && top[n - 1] != '/')))
			conf_error(k->e, w, "%s = %s is not on volume %s: it is not below %s", what,
				   path, name, top);
	}
}

static void
check_volumes(struct checker *k)
{
	struct conf *c = k->c;
	const struct conf_where top = {c->file, 1, 1};

	for (size_t i = 0; i < c->n_volumes; i++) {
		struct conf_volume *v = &c->volumes[i];
		size_t n = v->mount ? strlen(v->mount) : 0;

		for (size_t j = 0; j < i; j++)
			if (strcmp(c->volumes[j].name, v->name) == 0)
				conf_error(k->e, &v->where,
					   "volume %s: there is another one of this name", v->name);
		if (n > 1 && v->path &&
		    (strncmp(v->path, v->mount, n) != 0 || (v->path[n] && v->path[n] != '/')))
			conf_error(k->e, &v->where, "volume %s: path = %s is not below mount = %s",
				   v->name, v->path, v->mount);
	}
	for (size_t i = 0; i < c->n_storage; i++)
		check_volume_name(k, &c->storage[i].where, c->storage[i].name,
				  c->storage[i].volume);
	check_volume_name(k, &c->badmail.where, "badmail", c->badmail.volume);
	check_volume_name(k, &top, "", c->state_volume);
	check_on_volume(k, &c->badmail.where, "badmail: path", c->badmail.path, c->badmail.volume);
	check_on_volume(k, &top, "state_dir", c->state_dir, c->state_volume);
}

static void
check_undo(struct checker *k)
{
	struct conf *c = k->c;
	const struct conf_where top = {c->file, 1, 1};

	if (!c->undo_storage)
		return;
	c->undo = check_find_section(c->storage, c->n_storage, c->undo_storage);
	if (!c->undo) {
		conf_error(k->e, &top, "undo_storage = %s: there is no such storage section",
			   c->undo_storage);
		return;
	}
	c->undo->for_undo = true;
	if (c->undo->only_wrapped)
		conf_error(k->e, &top, "undo_storage = %s: another section wraps it; name that one",
			   c->undo_storage);
	else if (usable_storage(c) == 0)
		conf_error(k->e, &top,
			   "undo_storage = %s: it is the only storage section; accounts need one "
			   "of their own",
			   c->undo_storage);
}

static void
check_domains(struct checker *k)
{
	struct conf *c = k->c;

	for (size_t i = 0; i < c->n_domain_blocks; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(c->domains[i].name, c->domains[j].name) == 0)
				conf_error(k->e, &c->domains[i].where,
					   "domain %s: there is another block of it, at line %u",
					   c->domains[i].name, c->domains[j].where.line);
	if (c->badmail.retry_max_ms < c->badmail.retry_first_ms)
		conf_error(k->e, &c->badmail.where, "badmail: retry_max is less than retry_first");
}

void
check_conf(struct conf *c, struct conf_errors *e)
{
	struct checker k = {c, e};

	check_top(&k);
	check_listeners(&k);
	check_metrics(&k);
	check_sections(&k, c->auth, c->n_auth, "auth");
	check_sections(&k, c->storage, c->n_storage, "storage");
	check_undo(&k);
	check_auth_storage(&k);
	check_volumes(&k);
	check_domains(&k);
}
