/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "account/chain.h"
#include "account/own.h"
#include "bind/local.h"
#include "bind/services.h"

#define ERR_MAX 1024
#define BURN_AND_BLOCK 4

/* ---- errors ---------------------------------------------------------------------------------- */

static void
plan_report(void *ctx, const char *file, unsigned line, const char *text)
{
	struct at *at = ctx;
	struct conf_where w = *at->section;

	if (file) {
		w.file = file;
		w.line = line;
		w.column = 1;
	}
	conf_error(at->e, &w, "%s", text);
}

/* ---- permits --------------------------------------------------------------------------------- */

struct plan *
plan_find(struct binder *b, enum conf_kind kind, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->plans[i].section->kind == kind &&
		    strcmp(b->plans[i].section->name, name) == 0)
			return &b->plans[i];
	return NULL;
}

/*
 * The most a section without a number gets, by the flags of its module. One that computes hashes
 * gets all processors but one; but at least two, so that a lookup, which costs nothing, does not
 * stand in line after each hash, and four if it waits for a database as well, which takes no
 * processor.
 */
static uint32_t
permits_cap(uint32_t flags, uint32_t workers)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t most = cpus > 3 ? (uint32_t)cpus - 1 : 2;

	if (flags & PM_F_SERIAL)
		return 1;
	if (flags & PM_F_MAY_BURN)
		return flags & PM_F_MAY_BLOCK && most < BURN_AND_BLOCK ? BURN_AND_BLOCK : most;
	return workers / 4 > 1 ? workers / 4 : 1;
}

/* One permit covers wrapper and wrapped: the flags of either hold for the call. */
static uint32_t
flags_of(struct binder *b, const struct plan *p)
{
	uint32_t flags = 0;

	while (p && p->lib) {
		flags |= host_desc(p->lib)->flags;
		p = p->section->wrap ? plan_find(b, p->section->kind, p->section->wrap) : NULL;
	}
	return flags;
}

/* The permits of the sections that have a number; *ret_open: how many have none. */
static uint32_t
permits_given(struct binder *b, uint32_t *ret_open)
{
	uint32_t given = local_permits(b->c);

	*ret_open = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct plan *p = &b->plans[i];

		p->counted = !p->section->only_wrapped && p->lib;
		if (!p->counted)
			continue;
		if (p->section->permits < 0) {
			(*ret_open)++;
			continue;
		}
		p->permits = (uint32_t)p->section->permits;
		given += p->permits;
		if (p->permits > 1 && flags_of(b, p) & PM_F_SERIAL)
			conf_error(b->e, &p->section->where,
				   "section %s: permits = %u: this module makes one call at "
				   "a time: permits = 1",
				   p->section->name, p->permits);
	}
	return given;
}

void
plan_permits(struct binder *b)
{
	uint32_t budget = b->workers - b->reserve, open, given = permits_given(b, &open),
		 total = local_permits(b->c);
	uint32_t share = open > 0 && given < budget ? (budget - given) / open : 0;
	const struct conf_where w = {b->c->file, 1, 1};

	for (size_t i = 0; i < b->n; i++) {
		struct plan *p = &b->plans[i];

		if (!p->counted)
			continue;
		if (p->section->permits < 0) {
			uint32_t cap = permits_cap(flags_of(b, p), b->workers);

			p->permits = share == 0 ? 1 : share < cap ? share : cap;
		}
		total += p->permits;
	}
	if (total > budget)
		conf_error(b->e, &w,
			   "the sections' permits add up to %u, workers (%u) less reserve (%u) "
			   "leave %u: set workers = %u "
			   "or fewer permits",
			   total, b->workers, b->reserve, budget, total + b->reserve);
	/* the inner instance gets as many connections */
	for (size_t i = b->n; i-- > 0;)
		if (b->plans[i].section->wrap) {
			struct plan *inner =
				plan_find(b, b->plans[i].section->kind, b->plans[i].section->wrap);

			if (inner)
				inner->permits = b->plans[i].permits;
		}
}

/* ---- specs ----------------------------------------------------------------------------------- */

bool
plan_wants_domains(const struct binder *b, const struct plan *p)
{
	const struct conf_section *s = p->section;

	if (b->c->delivery.unknown_recipient != CONF_UNKNOWN_BADMAIL || s->kind != CONF_AUTH ||
	    s->only_wrapped || s->n_domains > 0)
		return false;
	for (size_t i = 0; i < b->c->n_listeners; i++)
		if (b->c->listeners[i].protocol == CONF_SMTP)
			return true;
	return false;
}

/* Mail that comes in is for users of any section: their names are looked up. */
static bool
wants_lookups(const struct binder *b, const struct plan *p)
{
	for (size_t i = 0; i < b->c->n_listeners && p->section->kind == CONF_AUTH; i++)
		if (b->c->listeners[i].protocol != CONF_POP3)
			return true;
	return false;
}

/* The section that is asked in the place of this one: what wraps it. */
static const struct conf_section *
plan_outermost(const struct binder *b, const struct conf_section *s)
{
	for (size_t i = 0; i < b->n; i++) { /* only earlier sections are wrapped */
		const struct conf_section *o = b->plans[i].section;

		if (o->kind == s->kind && o->wrap && strcmp(o->wrap, s->name) == 0)
			s = o;
	}
	return s;
}

const char *
plan_name_domain(const struct binder *b, const struct plan *p)
{
	const struct conf_section *s = plan_outermost(b, p->section);

	return s->kind == CONF_AUTH && s->name_domain && strcmp(s->name_domain, CONF_NAME_BARE) != 0
		       ? s->name_domain
		       : NULL;
}

/* May names that its module gives be those of another section's accounts (account/own.h)? */
static uint32_t
names_flags(const struct binder *b, const struct plan *p)
{
	const struct conf_section *s = plan_outermost(b, p->section), *storage;

	if (s->kind != CONF_AUTH)
		return 0;
	storage = chain_storage(b->c, s, NULL, 0);
	if (!storage || !own_sharer(b->c, s, storage, false))
		return 0;
	return s->n_domains > 0 && !s->name_domain ? PM_OPENF_SHARED | PM_OPENF_WHOLE_NAMES
						   : PM_OPENF_SHARED;
}

/* The domains that names of accounts in one storage section may have. */
struct names {
	const char *domain; /* the one seen first */
	bool many, any;
};

static void
names_add(struct names *n, const char *domain)
{
	if (strchr(domain, '*') || (n->domain && strcasecmp(n->domain, domain) != 0))
		n->many = true;
	n->domain = domain;
}

/* name_domain is the operator's word for the names of a section; only if it is a domain, others may
 * have another one. */
static void
names_add_section(struct names *n, const struct conf_section *s)
{
	if (s->name_domain && strcmp(s->name_domain, CONF_NAME_BARE) == 0)
		return;
	if (s->name_domain)
		names_add(n, s->name_domain);
	for (size_t i = 0; i < s->n_domains && !s->name_domain; i++)
		names_add(n, s->domains[i]);
	n->any |= s->n_domains == 0 || (s->name_domain && s->n_domains > 1);
}

/* By the template that the SDK's stores have for a user's path. Asking where two made-up users
 * would be (box_place) may hang with their disk, and this is the main thread. */
bool
plan_knows_local_parts(struct binder *b, const struct plan *p)
{
	const char *path = NULL;

	while (p->section->wrap && (p = plan_find(b, p->section->kind, p->section->wrap)))
		;
	for (size_t i = 0; p && i < p->section->n_settings; i++)
		if (strcmp(p->section->settings[i].key, "path") == 0)
			path = p->section->settings[i].value;
	return path && strstr(path, "%n") && !strstr(path, "%u") && !strstr(path, "%d") &&
	       !strstr(path, "%k") && !strstr(path, "%h");
}

/* May an account have names, and mailboxes, in several domains? Not where the store looks at the
 * local part only. */
static uint32_t
domains_flags_auth(struct binder *b, const struct conf_section *s)
{
	const struct conf_section *storage = chain_storage(b->c, s, NULL, 0);
	const struct plan *p = storage ? plan_find(b, CONF_STORAGE, storage->name) : NULL;
	uint32_t flags = b->c->name_case == CONF_CASE_LOWER ? PM_OPENF_LOWER_NAMES : 0;

	if (s->n_domains == 0 && !s->name_domain)
		flags |= PM_OPENF_ANY_DOMAIN;
	if ((s->n_domains > 1 || (s->n_domains == 1 && strchr(s->domains[0], '*'))) &&
	    !(p && plan_knows_local_parts(b, p)))
		flags |= PM_OPENF_MANY_DOMAINS;
	return flags;
}

/* Deleted mail of all sections is together. */
static uint32_t
domains_flags(struct binder *b, const struct plan *p)
{
	const struct conf_section *s = plan_outermost(b, p->section);
	struct names n = {0};

	if (s->kind == CONF_AUTH)
		return domains_flags_auth(b, s);
	for (size_t i = 0; i < b->c->n_auth; i++) {
		const struct conf_section *auth = &b->c->auth[i];

		if (!auth->only_wrapped && (s->for_undo || chain_storage(b->c, auth, NULL, 0) == s))
			names_add_section(&n, auth);
	}
	return n.many ? PM_OPENF_MANY_DOMAINS : n.any ? PM_OPENF_ANY_DOMAIN : 0;
}

void
plan_spec(struct binder *b, const struct plan *p, struct host_setting *settings, struct at *at,
	  struct host_spec *ret)
{
	const struct conf_section *s = p->section;

	for (size_t i = 0; i < s->n_settings; i++)
		settings[i] =
			(struct host_setting){s->settings[i].key, s->settings[i].value,
					      s->settings[i].where.file, s->settings[i].where.line};
	*at = (struct at){b->e, &s->where};
	*ret = (struct host_spec){
		.section = s->name,
		.permits = p->permits,
		.purpose = b->tool ? PM_PURPOSE_TOOL : PM_PURPOSE_SERVER,
		.flags = (plan_wants_domains(b, p) ? PM_OPENF_DOMAINS : 0) |
			 (wants_lookups(b, p) ? PM_OPENF_LOOKUPS : 0) | names_flags(b, p) |
			 domains_flags(b, p),
		.state_dir = b->c->state_dir,
		.run_dir = b->c->run_dir,
		.name_domain = plan_name_domain(b, p),
		.settings = settings,
		.n_settings = s->n_settings,
		.host = services_host(s->name),
		.error = plan_report,
		.error_ctx = at,
	};
}

static void
check_kind(struct binder *b, const struct plan *p)
{
	const struct pm_module *m = host_desc(p->lib);
	bool auth = p->section->kind == CONF_AUTH;

	if (auth ? !m->auth : !m->storage)
		conf_error(b->e, &p->section->where, "section %s: module %.*s does not do %s",
			   p->section->name, (int)m->name.n, m->name.p, auth ? "auth" : "storage");
}

static void
plan_load(struct binder *b, struct plan *p)
{
	char err[ERR_MAX];

	if (!p->section->module)
		return; /* conf_load has reported it */
	p->lib = host_load(p->section->module, b->c->module_dir, err, sizeof(err));
	if (!p->lib)
		conf_error(b->e, &p->section->where, "section %s: %s", p->section->name, err);
	else
		check_kind(b, p);
}

bool
plan_all(struct binder *b, struct conf *c, const struct conf *old, struct conf_errors *e, bool tool)
{
	*b = (struct binder){.c = c, .e = e, .tool = tool, .n = c->n_auth + c->n_storage};
	b->workers = old ? old->workers : c->workers;
	b->reserve = old ? old->reserve : c->reserve;
	b->plans = calloc(b->n + 1, sizeof(*b->plans));
	if (!b->plans)
		return false;
	for (size_t i = 0; i < b->n; i++)
		b->plans[i].section = i < c->n_auth ? &c->auth[i] : &c->storage[i - c->n_auth];
	for (size_t i = 0; i < b->n; i++)
		plan_load(b, &b->plans[i]);
	return true;
}
