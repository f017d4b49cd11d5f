/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree to a snapshot: blocks are counted, made, filled by the schema, and then checked against
 * each other.
 */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "conf/schema.h"
#include "conf/tree.h"
#include "host/load.h"

#define MEMORY_MAX (64u << 20)

static struct {
	pthread_mutex_t mutex;
	struct conf *current;  /* under mutex */
	void (*free_hook)(struct conf *c);
	_Atomic uint64_t serial;
} cf = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void
conf_error(struct conf_errors *e, const struct conf_where *w, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->count++;
	if (e->report)
		e->report(e->ctx, w, text);
}

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
	if (cf.free_hook)
		cf.free_hook(c);
	a = c->memory; /* c itself lies in it */
	arena_reset(a);
	free(a);
}

void
conf_set_free_hook(void (*fn)(struct conf *c))
{
	cf.free_hook = fn;
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
fill(struct loader *ld, enum schema_block block, void *base, struct conf_node *first)
{
	for (struct conf_node *n = first; n; n = n->next) {
		if (n->block) {
			if (block != BLOCK_TOP)
				conf_error(ld->e, &n->where, "a block is not possible inside a block");
			continue;
		}
		if (given_before(first, n))
			conf_error(ld->e, &n->where, "%s is given twice", n->key);
		else if (!schema_set(block, base, ld->a, n, ld->e))
			schema_unknown(block, n, ld->e);
	}
}

static void
fill_listener(struct loader *ld, struct conf_listener *l, struct conf_node *n)
{
	unsigned char addr[16];

	l->name = n->value;
	l->where = n->where;
	schema_defaults(BLOCK_LISTENER, l);
	fill(ld, BLOCK_LISTENER, l, n->children);
	if (!*l->name)
		conf_error(ld->e, &n->where, "a listener needs a name: listener pop3 {");
	if (!l->address)
		conf_error(ld->e, &n->where, "listener %s: address is missing, e.g. 0.0.0.0 or ::", l->name);
	else if (inet_pton(AF_INET, l->address, addr) != 1 && inet_pton(AF_INET6, l->address, addr) != 1)
		conf_error(ld->e, &n->where, "listener %s: address = %s: expected an IPv4 or IPv6 address", l->name,
			   l->address);
	bool has_port = false;

	for (struct conf_node *x = n->children; x; x = x->next)
		has_port = has_port || strcmp(x->key, "port") == 0;
	if (!has_port)
		conf_error(ld->e, &n->where, "listener %s: port is missing, e.g. 110 or 995", l->name);
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
		} else if (schema_set(BLOCK_SECTION, s, ld->a, x, ld->e)) {
			if (given_before(n->children, x))
				conf_error(ld->e, &x->where, "%s is given twice", x->key);
		} else {
			/* the module's: its own schema speaks in bind_check */
			s->settings[s->n_settings++] = (struct conf_setting){x->key, x->value, x->where};
		}
	}
	if (!*s->name)
		conf_error(ld->e, &n->where, "%s needs a name: %s NAME {", n->key, n->key);
	if (!s->module)
		conf_error(ld->e, &n->where, "%s %s: module is missing", n->key, s->name);
}

static void
unknown_block(struct loader *ld, const struct conf_node *n)
{
	static const char *const kinds[] = {"listener", "auth", "storage", "tls", "log"};
	const char *near = host_nearest(n->key, kinds, 5);

	conf_error(ld->e, &n->where, "unknown block '%s'%s%s%s; there are listener, auth, storage, tls and log",
		   n->key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool
make_blocks(struct loader *ld)
{
	struct conf *c = ld->c;
	size_t l = 0, a = 0, s = 0;

	c->n_listeners = count_kind(ld, "listener");
	c->n_auth = count_kind(ld, "auth");
	c->n_storage = count_kind(ld, "storage");
	c->listeners = arena_array(ld->a, c->n_listeners + 1, sizeof(*c->listeners));
	c->auth = arena_array(ld->a, c->n_auth + 1, sizeof(*c->auth));
	c->storage = arena_array(ld->a, c->n_storage + 1, sizeof(*c->storage));
	if (!c->listeners || !c->auth || !c->storage)
		return false;
	for (struct conf_node *n = ld->top; n; n = n->next) {
		if (!n->block)
			continue;
		if (is_kind(n, "listener"))
			fill_listener(ld, &c->listeners[l++], n);
		else if (is_kind(n, "auth"))
			fill_section(ld, &c->auth[a++], n, CONF_AUTH);
		else if (is_kind(n, "storage"))
			fill_section(ld, &c->storage[s++], n, CONF_STORAGE);
		else if (is_kind(n, "tls"))
			fill(ld, BLOCK_TLS, c, n->children);
		else if (is_kind(n, "log"))
			fill(ld, BLOCK_LOG, c, n->children);
		else
			unknown_block(ld, n);
	}
	return true;
}

/* ---- blocks against each other --------------------------------------------------------------- */

static struct conf_section *
find_section(struct conf_section *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static void
check_sections(struct loader *ld, struct conf_section *list, size_t n, const char *kind)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_section *s = &list[i], *inner;

		if (find_section(list, i, s->name))
			conf_error(ld->e, &s->where, "%s %s: there is another section of this name", kind, s->name);
		if (!s->wrap)
			continue;
		/* only an earlier section: no circles, and it is open when this one is opened */
		inner = find_section(list, i, s->wrap);
		if (!inner) {
			conf_error(ld->e, &s->where, "%s %s: wrap = %s: expected a %s section above this one", kind,
				   s->name, s->wrap, kind);
			continue;
		}
		if (inner->only_wrapped)
			conf_error(ld->e, &s->where, "%s %s: %s is wrapped already", kind, s->name, s->wrap);
		inner->only_wrapped = true;
	}
}

static size_t
usable_storage(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_storage; i++)
		n += !c->storage[i].only_wrapped;
	return n;
}

static void
check_auth_storage(struct loader *ld)
{
	struct conf *c = ld->c;

	for (size_t i = 0; i < c->n_auth; i++) {
		struct conf_section *s = &c->auth[i];

		if (s->only_wrapped)
			continue;
		if (s->storage && !find_section(c->storage, c->n_storage, s->storage))
			conf_error(ld->e, &s->where, "auth %s: storage = %s: there is no such storage section",
				   s->name, s->storage);
		if (!s->storage && usable_storage(c) > 1)
			conf_error(ld->e, &s->where, "auth %s: storage is missing; there are several storage sections",
				   s->name);
	}
}

static void
check_listeners(struct loader *ld)
{
	struct conf *c = ld->c;
	const struct conf_where top = {c->file, 1, 1};

	if (c->n_listeners == 0)
		conf_error(ld->e, &top, "no listener: add 'listener pop3 {' with address and port");
	for (size_t i = 0; i < c->n_listeners; i++) {
		struct conf_listener *l = &c->listeners[i];

		for (size_t j = 0; j < i; j++) {
			struct conf_listener *k = &c->listeners[j];

			if (strcmp(k->name, l->name) == 0)
				conf_error(ld->e, &l->where, "listener %s: there is another one of this name", l->name);
			if (k->address && l->address && strcmp(k->address, l->address) == 0 && k->port == l->port &&
			    l->port != 0)
				conf_error(ld->e, &l->where, "listener %s: %s port %u is listener %s's already", l->name,
					   l->address, l->port, k->name);
		}
		if (l->tls != CONF_TLS_NONE && (!c->tls_certificate || !c->tls_key))
			conf_error(ld->e, &l->where, "listener %s: tls needs certificate and key in a tls block, "
						     "or tls = none here", l->name);
		if (l->tls == CONF_TLS_NONE && !l->plaintext_login)
			conf_error(ld->e, &l->where, "listener %s: tls = none and plaintext_login = refuse: nobody "
						     "could log in", l->name);
	}
}

static void
check_top(struct loader *ld)
{
	struct conf *c = ld->c;
	const struct conf_where top = {c->file, 1, 1};

	if (c->config_version == 0)
		conf_error(ld->e, &top, "config_version is missing: write 'config_version = 1' at the top");
	if (c->n_auth == 0)
		conf_error(ld->e, &top, "no auth section: nobody could log in");
	if (c->n_storage == 0)
		conf_error(ld->e, &top, "no storage section: there is no mail");
	if (c->log_sink == CONF_LOG_FILE && !c->log_file)
		conf_error(ld->e, &top, "log: to = file needs file = /...");
	if (strcmp(c->tls_min_version, "1.2") != 0 && strcmp(c->tls_min_version, "1.3") != 0)
		conf_error(ld->e, &top, "tls: min_version = %s: expected 1.2 or 1.3", c->tls_min_version);
	if (c->reserve == 0)
		c->reserve = c->workers / 8 > 2 ? c->workers / 8 : 2;
	if (c->reserve >= c->workers)
		conf_error(ld->e, &top, "reserve = %u must be less than workers = %u", c->reserve, c->workers);
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
	return c;
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
	ld.top = tree_read(a, file, e);
	if (!ld.top && e->count > before) {
		conf_put(ld.c);
		return NULL;
	}
	fill(&ld, BLOCK_TOP, ld.c, ld.top);
	if (!make_blocks(&ld)) {
		conf_error(e, &w, "no memory");
		conf_put(ld.c);
		return NULL;
	}
	fill_hostname(&ld);
	check_top(&ld);
	check_listeners(&ld);
	check_sections(&ld, ld.c->auth, ld.c->n_auth, "auth");
	check_sections(&ld, ld.c->storage, ld.c->n_storage, "storage");
	check_auth_storage(&ld);
	return ld.c;
}

/* ---- as a file again ------------------------------------------------------------------------- */

struct dump {
	void (*line)(void *ctx, const char *text);
	void *ctx;
};

static void
dump_block(struct dump *d, enum schema_block block, const void *base, const char *indent)
{
	char buf[64], text[1200];

	for (size_t i = 0; i < schema_n_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		const char *value = row->block == block ? schema_text(row, base, buf, sizeof(buf)) : "";

		if (!*value)
			continue;
		snprintf(text, sizeof(text), "%s%s = %s", indent, row->key, value);
		d->line(d->ctx, text);
	}
}

static void
dump_section(struct dump *d, const struct conf_section *s, const char *kind)
{
	char text[1200];
	size_t n;

	snprintf(text, sizeof(text), "%s %s {", kind, s->name);
	d->line(d->ctx, text);
	dump_block(d, BLOCK_SECTION, s, "    ");
	if (s->n_domains > 0) {
		n = (size_t)snprintf(text, sizeof(text), "    domains =");
		for (size_t i = 0; i < s->n_domains && n < sizeof(text); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", s->domains[i]);
		d->line(d->ctx, text);
	}
	/* a module's schema says which of its settings are secret; here all values stay home */
	for (size_t i = 0; i < s->n_settings; i++) {
		snprintf(text, sizeof(text), "    # %s is set at line %u", s->settings[i].key, s->settings[i].where.line);
		d->line(d->ctx, text);
	}
	d->line(d->ctx, "}");
}

void
conf_dump(const struct conf *c, void (*line)(void *ctx, const char *text), void *ctx)
{
	struct dump d = {line, ctx};
	char text[320];

	dump_block(&d, BLOCK_TOP, c, "");
	line(ctx, "tls {");
	dump_block(&d, BLOCK_TLS, c, "    ");
	line(ctx, "}");
	line(ctx, "log {");
	dump_block(&d, BLOCK_LOG, c, "    ");
	line(ctx, "}");
	for (size_t i = 0; i < c->n_listeners; i++) {
		snprintf(text, sizeof(text), "listener %s {", c->listeners[i].name);
		line(ctx, text);
		dump_block(&d, BLOCK_LISTENER, &c->listeners[i], "    ");
		line(ctx, "}");
	}
	for (size_t i = 0; i < c->n_auth; i++)
		dump_section(&d, &c->auth[i], "auth");
	for (size_t i = 0; i < c->n_storage; i++)
		dump_section(&d, &c->storage[i], "storage");
}
