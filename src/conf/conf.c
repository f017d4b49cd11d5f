/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree to a snapshot: blocks are counted, made, filled by the schema, and then checked
 * against each other.
 */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "conf/check.h"
#include "conf/schema.h"
#include "conf/tree_file.h"
#include "host/nearest.h"

#define MEMORY_MAX (64u << 20)
#define NAME_MAX_LEN 40

static struct {
	pthread_mutex_t mutex;
	struct conf *current; /* under mutex */
	_Atomic uint64_t serial;
} cf = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- references ------------------------------------------------------------------------------ */

struct conf *
conf_ref(struct conf *c)
{
	if (c)
		atomic_fetch_add(&c->refs, 1);
	return c;
}

void
conf_put(struct conf *c)
{
	struct arena *a;

	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->release)
		c->release(c);
	a = c->memory; /* c itself lies in it */
	arena_reset(a);
	free(a);
}

struct conf *
conf_current(void)
{
	struct conf *c;

	pthread_mutex_lock(&cf.mutex);
	c = conf_ref(cf.current);
	pthread_mutex_unlock(&cf.mutex);
	return c;
}

void
conf_publish(struct conf *c)
{
	struct conf *old;

	pthread_mutex_lock(&cf.mutex);
	old = cf.current;
	cf.current = c;
	pthread_mutex_unlock(&cf.mutex);
	conf_put(old);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

struct loader {
	struct conf *c;
	struct arena *a;
	struct conf_errors *e;
	struct conf_node *top;
};

static bool
is_kind(const struct conf_node *n, const char *kind)
{
	return n->block && strcmp(n->key, kind) == 0;
}

static size_t
count_kind(const struct loader *ld, const char *kind)
{
	size_t n = 0;

	for (const struct conf_node *x = ld->top; x; x = x->next)
		n += is_kind(x, kind);
	return n;
}

/* An earlier setting of the same block with this key. */
static bool
given_before(const struct conf_node *first, const struct conf_node *n)
{
	for (const struct conf_node *x = first; x != n; x = x->next)
		if (!x->block && strcmp(x->key, n->key) == 0)
			return true;
	return false;
}

/* Settings of one block whose keys are all the server's. */
static void
conf_fill(struct loader *ld, enum schema_block block, void *base, struct conf_node *first)
{
	for (struct conf_node *n = first; n; n = n->next) {
		if (n->block) {
			if (block != BLOCK_TOP)
				conf_error(ld->e, &n->where,
					   "a block is not possible inside a block");
			continue;
		}
		if (schema_once(block, n->key) && given_before(first, n))
			conf_error(ld->e, &n->where, "%s is given twice", n->key);
		else if (!schema_set(block, base, ld->a, n, ld->e))
			schema_unknown(block, n, ld->e);
	}
}

/* Names make gates, log lines and metrics; the limit keeps two long ones apart wherever they are
 * cut. */
static void
check_name(struct loader *ld, const struct conf_node *n)
{
	if (!*n->value)
		conf_error(ld->e, &n->where, "%s needs a name: %s NAME {", n->key, n->key);
	if (strlen(n->value) > NAME_MAX_LEN)
		conf_error(ld->e, &n->where, "%s %s: a name has at most %d characters", n->key,
			   n->value, NAME_MAX_LEN);
}

/* tls and log: one block each, without a name. */
static void
fill_only(struct loader *ld, enum schema_block block, struct conf_node *n)
{
	for (const struct conf_node *x = ld->top; x != n; x = x->next) {
		if (is_kind(x, n->key)) {
			conf_error(ld->e, &n->where, "there is another %s block, at line %u of %s",
				   n->key, x->where.line, x->where.file);
			return;
		}
	}
	if (*n->value)
		conf_error(ld->e, &n->where, "%s %s: this block has no name", n->key, n->value);
	conf_fill(ld, block, ld->c, n->children);
}

static bool
is_given(const struct conf_node *block, const char *key)
{
	for (const struct conf_node *x = block->children; x; x = x->next)
		if (strcmp(x->key, key) == 0)
			return true;
	return false;
}

static void
check_address(struct loader *ld, struct conf_listener *l, struct conf_node *n)
{
	unsigned char addr[16];

	if (!l->address)
		conf_error(ld->e, &n->where,
			   "listener %s: address is missing, e.g. 0.0.0.0 or ::", l->name);
	else if (inet_pton(AF_INET, l->address, addr) != 1 &&
		 inet_pton(AF_INET6, l->address, addr) != 1)
		conf_error(ld->e, &n->where,
			   "listener %s: address = %s: expected an IPv4 or IPv6 address", l->name,
			   l->address);
	if (!is_given(n, "port"))
		conf_error(ld->e, &n->where, "listener %s: port is missing, e.g. 110 or 995",
			   l->name);
}

static void
fill_listener(struct loader *ld, struct conf_listener *l, struct conf_node *n)
{
	l->name = n->value;
	l->where = n->where;
	schema_defaults(BLOCK_LISTENER, l);
	conf_fill(ld, BLOCK_LISTENER, l, n->children);
	check_name(ld, n);
	if (!l->path)
		check_address(ld, l, n);
	else if (l->address || is_given(n, "port"))
		conf_error(ld->e, &n->where, "listener %s: either path, or address and port",
			   l->name);
	/* a socket of this machine needs no encryption, nor does delivery where there is no
	 * certificate */
	if (!is_given(n, "tls") &&
	    (l->path || (l->protocol != CONF_POP3 && !ld->c->tls_certificate)))
		l->tls = CONF_TLS_NONE;
}

static void
fill_section(struct loader *ld, struct conf_section *s, struct conf_node *n, enum conf_kind kind)
{
	size_t max = 0;

	s->kind = kind;
	s->name = n->value;
	s->where = n->where;
	schema_defaults(BLOCK_SECTION, s);
	for (struct conf_node *x = n->children; x; x = x->next)
		max++;
	s->settings = arena_array(ld->a, max ? max : 1, sizeof(*s->settings));
	for (struct conf_node *x = n->children; x && s->settings; x = x->next) {
		if (x->block) {
			conf_error(ld->e, &x->where, "a block is not possible inside a block");
		} else if (schema_once(BLOCK_SECTION, x->key) && given_before(n->children, x)) {
			conf_error(ld->e, &x->where, "%s is given twice", x->key);
		} else if (!schema_set(BLOCK_SECTION, s, ld->a, x, ld->e)) {
			/* the module's: its own schema speaks in bind_check */
			s->settings[s->n_settings++] =
				(struct conf_setting){x->key, x->value, x->where};
		}
	}
	check_name(ld, n);
	if (!s->module)
		conf_error(ld->e, &n->where, "%s %s: module is missing", n->key, s->name);
}

static void
fill_volume(struct loader *ld, struct conf_volume *v, struct conf_node *n)
{
	v->name = n->value;
	v->where = n->where;
	schema_defaults(BLOCK_VOLUME, v);
	conf_fill(ld, BLOCK_VOLUME, v, n->children);
	check_name(ld, n);
	if (!v->path)
		conf_error(ld->e, &n->where, "volume %s: path is missing: a directory on it",
			   v->name);
}

static void
fill_domain(struct loader *ld, struct conf_domain *d, struct conf_node *n)
{
	char *name = arena_dup(ld->a, n->value, strlen(n->value));

	for (char *p = name; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	d->name = name ? name : n->value;
	d->where = n->where;
	schema_defaults(BLOCK_DOMAIN, d);
	conf_fill(ld, BLOCK_DOMAIN, d, n->children);
	if (!*n->value || strlen(n->value) > 255 || strpbrk(n->value, "@/ "))
		conf_error(ld->e, &n->where,
			   "domain %s: expected the name of a domain: domain example.org {",
			   n->value);
}

static void
fill_badmail(struct loader *ld, struct conf_node *n)
{
	ld->c->badmail.where = n->where;
	fill_only(ld, BLOCK_BADMAIL, n);
	if (!ld->c->badmail.path)
		conf_error(ld->e, &n->where, "badmail: path is missing: a directory of its own");
}

static void
fill_metrics(struct loader *ld, struct conf_node *n)
{
	struct conf_listener *m = &ld->c->metrics;

	m->name = "metrics";
	m->where = n->where;
	fill_only(ld, BLOCK_METRICS, n);
	if (m->path && (m->address || is_given(n, "port")))
		conf_error(ld->e, &n->where, "metrics: either path, or address and port");
	if (!m->path && !is_given(n, "port"))
		conf_error(ld->e, &n->where,
			   "metrics: port is missing, e.g. 9144; or path, for a unix socket");
	if (!m->path && !m->address)
		m->address = "127.0.0.1";
}

static void
unknown_block(struct loader *ld, const struct conf_node *n)
{
	static const char *const kinds[] = {"listener", "auth",   "storage", "tls",     "log",
					    "delivery", "volume", "domain",  "badmail", "metrics"};
	const char *near = host_nearest(n->key, kinds, sizeof(kinds) / sizeof(kinds[0]));

	conf_error(ld->e, &n->where,
		   "unknown block '%s'%s%s%s; there are listener, auth, storage, tls, log, "
		   "delivery, volume, "
		   "domain, badmail and metrics",
		   n->key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool
make_blocks(struct loader *ld)
{
	struct conf *c = ld->c;
	size_t l = 0, a = 0, s = 0, v = 0, d = 0;

	c->n_listeners = count_kind(ld, "listener");
	c->n_auth = count_kind(ld, "auth");
	c->n_storage = count_kind(ld, "storage");
	c->listeners = arena_array(ld->a, c->n_listeners + 1, sizeof(*c->listeners));
	c->auth = arena_array(ld->a, c->n_auth + 1, sizeof(*c->auth));
	c->storage = arena_array(ld->a, c->n_storage + 1, sizeof(*c->storage));
	c->n_volumes = count_kind(ld, "volume");
	c->n_domain_blocks = count_kind(ld, "domain");
	c->volumes = arena_array(ld->a, c->n_volumes + 1, sizeof(*c->volumes));
	c->domains = arena_array(ld->a, c->n_domain_blocks + 1, sizeof(*c->domains));
	if (!c->listeners || !c->auth || !c->storage || !c->volumes || !c->domains)
		return false;
	/* first: a listener's tls depends on there being a certificate */
	for (struct conf_node *n = ld->top; n; n = n->next)
		if (is_kind(n, "tls"))
			fill_only(ld, BLOCK_TLS, n);
	for (struct conf_node *n = ld->top; n; n = n->next) {
		if (!n->block || is_kind(n, "tls"))
			continue;
		if (is_kind(n, "listener"))
			fill_listener(ld, &c->listeners[l++], n);
		else if (is_kind(n, "auth"))
			fill_section(ld, &c->auth[a++], n, CONF_AUTH);
		else if (is_kind(n, "storage"))
			fill_section(ld, &c->storage[s++], n, CONF_STORAGE);
		else if (is_kind(n, "volume"))
			fill_volume(ld, &c->volumes[v++], n);
		else if (is_kind(n, "domain"))
			fill_domain(ld, &c->domains[d++], n);
		else if (is_kind(n, "badmail"))
			fill_badmail(ld, n);
		else if (is_kind(n, "metrics"))
			fill_metrics(ld, n);
		else if (is_kind(n, "log"))
			fill_only(ld, BLOCK_LOG, n);
		else if (is_kind(n, "delivery"))
			fill_only(ld, BLOCK_DELIVERY, n);
		else
			unknown_block(ld, n);
	}
	return true;
}

static void
fill_hostname(struct loader *ld)
{
	char name[256] = "localhost";

	if (ld->c->hostname)
		return;
	(void)gethostname(name, sizeof(name) - 1); /* the start value is fine when it fails */
	ld->c->hostname = arena_dup(ld->a, name, strlen(name));
}

static struct conf *
conf_new(const char *file, struct arena *a)
{
	struct conf *c = arena_alloc(a, sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	c->serial = atomic_fetch_add(&cf.serial, 1) + 1;
	c->file = arena_dup(a, file, strlen(file));
	c->memory = a;
	schema_defaults(BLOCK_TOP, c);
	schema_defaults(BLOCK_TLS, c);
	schema_defaults(BLOCK_LOG, c);
	schema_defaults(BLOCK_DELIVERY, c);
	schema_defaults(BLOCK_BADMAIL, c);
	schema_defaults(BLOCK_METRICS, c);
	return c;
}

const struct conf_domain *
conf_domain(const struct conf *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->n_domain_blocks; i++)
		if (strlen(c->domains[i].name) == n &&
		    strncasecmp(c->domains[i].name, name, n) == 0)
			return &c->domains[i];
	return NULL;
}

const struct conf_listener *
conf_find_listener(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (strcmp(c->listeners[i].name, name) == 0)
			return &c->listeners[i];
	return NULL;
}

struct conf *
conf_load(const char *file, struct conf_errors *e)
{
	const struct conf_where w = {file, 1, 1};
	struct arena *a = malloc(sizeof(*a));
	struct loader ld = {.a = a, .e = e};
	size_t before = e->count;

	if (a)
		arena_init(a, MEMORY_MAX);
	ld.c = a ? conf_new(file, a) : NULL;
	if (!ld.c) {
		conf_error(e, &w, "no memory");
		free(a);
		return NULL;
	}
	ld.top = tree_file_read(a, file, e);
	if (!ld.top && e->count > before) {
		conf_put(ld.c);
		return NULL;
	}
	conf_fill(&ld, BLOCK_TOP, ld.c, ld.top);
	if (!make_blocks(&ld)) {
		conf_error(e, &w, "no memory");
		conf_put(ld.c);
		return NULL;
	}
	fill_hostname(&ld);
	check_conf(ld.c, e);
	return ld.c;
}
