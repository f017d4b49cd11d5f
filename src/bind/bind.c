/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind_check walks the sections: plan.c loads modules and chooses permits, here settings are
 * checked. bind_open does it again and opens what is new. A section whose module, settings and
 * permits did not change keeps its instance; its gate belongs to the section's name and is only
 * resized.
 */
#include "bind/bind.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account/caches.h"
#include "account/credcache.h"
#include "account/owners.h"
#include "base/secret.h"
#include "bind/local.h"
#include "bind/plan.h"
#include "mailbox/retention.h"
#include "mailbox/volume.h"
#include "module/backend.h"
#include "net/peer.h"
#include "net/tls.h"
#include "upkeep/undo.h"
#include "work/gate.h"

#define ERR_MAX 1024
#define FILES_PER_SESSION 3 /* socket, lock, message */
#define FILES_OWN 64

/* ---- what is checked ------------------------------------------------------------------------- */

static struct tls *
tls_open(const struct conf *c, struct conf_errors *e)
{
	const struct conf_where w = {c->file, 1, 1};
	const struct tls_options o = {c->tls_certificate, c->tls_key, c->tls_min_version,
				      c->tls_ciphers};
	char err[ERR_MAX];
	struct tls *t = tls_new(&o, err, sizeof(err));

	if (!t)
		conf_error(e, &w, "tls: %s", err);
	return t;
}

static bool
wants_tls(const struct conf *c)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (c->listeners[i].tls != CONF_TLS_NONE)
			return c->tls_certificate &&
			       c->tls_key; /* missing: conf_load has reported it */
	return false;
}

/* The hard limit is what start could raise the soft one to. */
static void
check_files(const struct conf *c, struct conf_errors *e)
{
	const struct conf_where w = {c->file, 1, 1};
	uint64_t need = (uint64_t)c->max_sessions * FILES_PER_SESSION + FILES_OWN;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_max == RLIM_INFINITY ||
	    rl.rlim_max >= need || geteuid() == 0)
		return;
	conf_error(e, &w,
		   "max_sessions = %u needs %llu open files, the limit is %llu: raise LimitNOFILE "
		   "or set "
		   "max_sessions = %llu",
		   c->max_sessions, (unsigned long long)need, (unsigned long long)rl.rlim_max,
		   (unsigned long long)(rl.rlim_max > FILES_OWN
						? (rl.rlim_max - FILES_OWN) / FILES_PER_SESSION
						: 0));
}

static void
bind_check_domains(struct binder *b, const struct plan *p)
{
	const struct pm_module *m = host_desc(p->lib);

	if (m->auth && !m->auth->domain && plan_wants_domains(b, p))
		conf_error(
			b->e, &p->section->where,
			"section %s: module %.*s cannot say which domains are ours: with SMTP and "
			"unknown_recipient = badmail mail to any would be kept: set domains = ... "
			"here",
			p->section->name, (int)m->name.n, m->name.p);
}

static void
bind_check_sections(struct binder *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct plan *p = &b->plans[i];
		struct host_setting *settings =
			calloc(p->section->n_settings + 1, sizeof(*settings));
		struct host_spec spec;
		struct at at;

		if (p->lib && settings) {
			bind_check_domains(b, p);
			plan_spec(b, p, settings, &at, &spec);
			(void)host_check(p->lib, &spec); /* its errors are counted */
		}
		free(settings);
	}
}

/* The abilities that a wrapper and all it wraps have. */
static uint32_t
bind_abilities(struct binder *b, const struct plan *p)
{
	uint32_t flags = UINT32_MAX;

	for (; p && p->lib;
	     p = p->section->wrap ? plan_find(b, p->section->kind, p->section->wrap) : NULL)
		flags &= host_desc(p->lib)->flags;
	return flags;
}

static void
check_retention(struct binder *b)
{
	for (size_t i = b->c->n_auth; i < b->n; i++) {
		struct plan *p = &b->plans[i];

		if (p->lib && p->section->for_undo)
			undo_check(b->c, bind_abilities(b, p), b->e);
		else if (p->lib && !p->section->only_wrapped)
			retention_check(b->c, p->section, bind_abilities(b, p), b->e);
	}
}

static void
check_list(struct binder *b, const struct conf_listener *l, const char *key,
	   const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!peer_network_valid(list[i]))
			conf_error(b->e, &l->where,
				   "listener %s: %s = %s: expected an address, a network such as "
				   "192.0.2.0/24, or local",
				   l->name, key, list[i]);
}

static void
check_networks(struct binder *b)
{
	for (size_t i = 0; i < b->c->n_listeners; i++) {
		const struct conf_listener *l = &b->c->listeners[i];

		check_list(b, l, "xclient", l->xclient, l->n_xclient);
		check_list(b, l, "proxy_from", l->proxy_from, l->n_proxy_from);
	}
}

static bool
check_all(struct binder *b)
{
	size_t before = b->e->count;
	struct tls *t;

	plan_permits(b);
	check_networks(b);
	bind_check_sections(b);
	check_retention(b);
	if (!b->tool)
		check_files(b->c, b->e);
	if (!b->tool && wants_tls(b->c)) {
		t = tls_open(b->c, b->e);
		tls_free(t);
	}
	return b->e->count == before;
}

bool
bind_check(struct conf *c, struct conf_errors *e)
{
	struct binder b;
	size_t before = e->count;

	if (!plan_all(&b, c, NULL, e, false))
		return false;
	(void)check_all(&b);
	free(b.plans);
	return e->count == before;
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct gate_limits
limits_of(const struct plan *p)
{
	const struct conf_section *s = p->section;
	struct gate_limits l = {
		.permits = p->permits ? p->permits : 1,
		.queue_max = s->queue_max >= 0 ? (uint32_t)s->queue_max : 1000,
		.trip_after = s->trip_after >= 0 ? (uint32_t)s->trip_after : 5,
		.wait_ms = s->wait_ms >= 0 ? s->wait_ms : 10000,
		.call_ms = s->call_ms >= 0 ? s->call_ms : 10000,
		.scan_ms = s->scan_ms >= 0 ? s->scan_ms : 120000,
		.commit_ms = s->commit_ms >= 0 ? s->commit_ms : 60000,
		.breaker_open_ms = s->breaker_open_ms >= 0 ? s->breaker_open_ms : 2000,
	};

	return l;
}

static struct credcache_limits
cache_limits_of(const struct conf_section *s)
{
	return (struct credcache_limits){
		.fresh_ms = s->cache_ms > 0 ? s->cache_ms : 0,
		.negative_ms = s->cache_negative_ms > 0 ? s->cache_negative_ms : 0,
		.good_ms = s->last_known_good_ms > 0 ? s->last_known_good_ms : 0,
		.places = s->cache_size > 0 ? (size_t)s->cache_size : 10000,
		.domain = s->name_domain,
	};
}

/* Everything that makes an instance what it is, digested: settings may be secrets. */
static bool
fingerprint_of(const struct binder *b, const struct plan *p, const struct gate_limits *l,
	       const struct backend *inner, char ret[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	const struct conf_section *s = p->section;
	const struct credcache_limits k = cache_limits_of(s);
	const char *appended = plan_name_domain(b, p); /* to a wrapped one's, too */
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	bool ok = false;

	if (!f)
		return false;
	fprintf(f, "%s\n%p\n%u %u %u %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
		host_path(p->lib), (const void *)inner, l->permits, l->queue_max, l->trip_after,
		l->wait_ms, l->call_ms, l->scan_ms, l->commit_ms, l->breaker_open_ms);
	fprintf(f, "%" PRId64 " %" PRId64 " %" PRId64 " %zu\n", k.fresh_ms, k.negative_ms,
		k.good_ms, k.places);
	for (size_t i = 0; i < s->n_settings; i++)
		fprintf(f, "%s=%s\n", s->settings[i].key, s->settings[i].value);
	fprintf(f, "volume=%s\n", s->volume ? s->volume : "");
	fprintf(f, "name_domain=%s\n", s->name_domain ? s->name_domain : ""); /* the cache's */
	fprintf(f, "appended=%s\n", appended ? appended : "");
	if (s->kind == CONF_AUTH)
		fprintf(f, "name_case=%d\n", (int)b->c->name_case); /* PM_OPENF_LOWER_NAMES */
	if (fclose(f) == 0)
		ok = EVP_Digest(text, n, sum, NULL, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; ok && i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
	secret_wipe(text, n);
	free(text);
	return ok;
}

/* gated: it is asked directly; an instance that was wrapped has no gate to share. */
static struct backend *
find_old(struct conf *old, const struct plan *p, const char *fingerprint, bool gated)
{
	struct conf_section *list = !old                            ? NULL
				    : p->section->kind == CONF_AUTH ? old->auth
								    : old->storage;
	size_t n = !old ? 0 : p->section->kind == CONF_AUTH ? old->n_auth : old->n_storage;

	for (size_t i = 0; i < n; i++)
		if (list[i].backend && !list[i].backend->gate == !gated &&
		    strcmp(list[i].name, p->section->name) == 0 &&
		    strcmp(list[i].backend->fingerprint, fingerprint) == 0)
			return list[i].backend;
	return NULL;
}

/* A new instance with its gate; NULL: reported. */
static struct backend *
backend_open(struct binder *b, const struct plan *p, struct backend *inner, const char *fingerprint)
{
	struct host_setting *settings = calloc(p->section->n_settings + 1, sizeof(*settings));
	struct backend *be = calloc(1, sizeof(*be));
	char *name = strdup(p->section->name);
	struct host_spec spec;
	struct at at;

	if (!settings || !be || !name) {
		conf_error(b->e, &p->section->where, "no memory");
		goto fail;
	}
	plan_spec(b, p, settings, &at, &spec);
	spec.inner = inner ? inner->inst : NULL;
	be->inst = host_open(p->lib, &spec);
	if (!be->inst)
		goto fail;
	free(settings);
	atomic_store(&be->refs, 1);
	be->section = name;
	be->kind = p->section->kind;
	memcpy(be->fingerprint, fingerprint, sizeof(be->fingerprint));
	be->inner = backend_ref(inner);
	be->can_mark = host_desc(p->lib)->flags & PM_F_CAN_MARK && (!inner || inner->can_mark);
	be->can_hide = host_desc(p->lib)->flags & PM_F_CAN_HIDE && (!inner || inner->can_hide);
	be->can_utf8 = host_desc(p->lib)->flags & PM_F_CAN_UTF8 && (!inner || inner->can_utf8);
	be->can_import =
		host_desc(p->lib)->flags & PM_F_CAN_IMPORT && (!inner || inner->can_import);
	be->counts = host_desc(p->lib)->flags & PM_F_COUNTS || (inner && inner->counts);
	be->vol = p->section->vol ? p->section->vol : inner ? inner->vol : NULL;
	return be;
fail:
	free(settings);
	free(be);
	free(name);
	return NULL;
}

/* Memory for the cache of an instance that is asked directly, if one is wanted. */
static bool
cache_open(struct backend *be, const struct conf_section *s)
{
	const struct credcache_limits k = cache_limits_of(s);
	struct credcache *c;

	if (k.fresh_ms == 0 && k.negative_ms == 0 && k.good_ms == 0)
		return true;
	c = credcache_new(&k);
	return c && caches_add(be, c);
}

static bool
section_open(struct binder *b, struct plan *p, struct conf *old)
{
	struct conf_section *s = p->section;
	struct plan *inner_plan = s->wrap ? plan_find(b, s->kind, s->wrap) : NULL;
	struct backend *inner = inner_plan ? inner_plan->section->backend : NULL;
	struct gate_limits limits = limits_of(p);
	char fingerprint[65], gate[GATE_NAME_MAX];

	if (!fingerprint_of(b, p, &limits, inner, fingerprint))
		return false;
	s->backend = backend_ref(find_old(old, p, fingerprint, !b->tool && !s->only_wrapped));
	if (s->backend)
		return true; /* shared with sessions at work: not a field of it is touched */
	s->backend = backend_open(b, p, inner, fingerprint);
	if (!s->backend)
		return false;
	s->backend->limits = limits;
	if (b->tool || s->only_wrapped)
		return true;
	snprintf(gate, sizeof(gate), "%s:%s", s->kind == CONF_AUTH ? "auth" : "storage", s->name);
	s->backend->gate = gate_get(gate, NULL);
	if (!s->backend->gate)
		return false;
	if (s->kind == CONF_AUTH)
		return cache_open(s->backend, s);
	return !plan_knows_local_parts(b, p) || owners_add(s->backend);
}

static bool
has_gate(const struct conf_section *list, size_t n, const struct gate *g)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].backend && list[i].backend->gate == g)
			return true;
	return false;
}

/* Only when nothing can fail any more. A section that is gone keeps one permit for its last
 * sessions. */
static void
gates_resize(struct conf *c, struct conf *old)
{
	for (size_t i = 0; i < c->n_auth + c->n_storage; i++) {
		struct backend *be =
			i < c->n_auth ? c->auth[i].backend : c->storage[i - c->n_auth].backend;

		if (be->gate)
			gate_set_limits(be->gate, &be->limits);
	}
	for (size_t i = 0; old && i < old->n_auth + old->n_storage; i++) {
		struct backend *be = i < old->n_auth ? old->auth[i].backend
						     : old->storage[i - old->n_auth].backend;
		struct gate_limits one;

		if (!be || !be->gate || has_gate(c->auth, c->n_auth, be->gate) ||
		    has_gate(c->storage, c->n_storage, be->gate))
			continue;
		one = be->limits;
		one.permits = 1;
		gate_set_limits(be->gate, &one);
	}
}

/* Its next tick is told, and comes at once. A new instance has nothing that could wait. */
static void
tell_if_kept(struct backend *be, const struct conf *old)
{
	for (size_t i = 0; old && i < old->n_auth; i++) {
		if (old->auth[i].backend != be)
			continue;
		atomic_store(&be->reloaded, true);
		atomic_store(&be->tick_due_ms, 0);
	}
}

/* A reload is also how an administrator says that accounts have changed. */
static void
accounts_stale(const struct conf *c, const struct conf *old)
{
	for (size_t i = 0; i < c->n_auth; i++) {
		credcache_stale(c->auth[i].backend->cache);
		tell_if_kept(c->auth[i].backend, old);
	}
	for (size_t i = 0; i < c->n_storage; i++)
		owners_forget(c->storage[i].backend->owners);
}

/* conf.release: any thread. */
static void
conf_release(struct conf *c)
{
	for (size_t i = 0; i < c->n_auth; i++)
		backend_put(c->auth[i].backend);
	for (size_t i = 0; i < c->n_storage; i++)
		backend_put(c->storage[i].backend);
	local_release(c);
	tls_free(c->tls);
}

/* Modules make directories of their own in it. */
static bool
state_there(const struct conf *c, struct conf_errors *e)
{
	const struct conf_where w = {c->file, 1, 1};
	char err[512];

	if (volume_state_there(c, err, sizeof(err)))
		return true;
	conf_error(e, &w, "%s", err);
	return false;
}

bool
bind_open(struct conf *c, struct conf *old, bool tool, struct conf_errors *e)
{
	struct binder b;
	bool ok;

	c->release = conf_release;
	if (!plan_all(&b, c, old, e, tool))
		return false;
	ok = check_all(&b) && e->count == 0;
	if (ok && !old && !tool)
		gate_init_global(c->workers, c->reserve);
	if (ok)
		ok = state_there(c, e) && local_open(c, tool);
	for (size_t i = 0; ok && i < b.n; i++)
		ok = section_open(&b, &b.plans[i], old);
	if (ok && !tool && wants_tls(c))
		ok = (c->tls = tls_open(c, e)) != NULL;
	if (ok && !tool) {
		gates_resize(c, old);
		accounts_stale(c, old);
	}
	if (!ok && e->count == 0) {
		const struct conf_where w = {c->file, 1, 1};

		conf_error(e, &w, "no memory");
	}
	free(b.plans);
	return ok; /* what was opened goes with the caller's conf_put */
}
