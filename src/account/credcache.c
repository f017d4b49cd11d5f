/* SPDX-License-Identifier: Apache-2.0 */
#include "account/credcache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account/credtag.h"
#include "account/usercopy.h"
#include "base/secret.h"

#define WAYS 8
#define SHARDS 16
#define MAC CREDTAG_BYTES
#define ACCOUNT_MAX 16384 /* one with more to say is asked for each time */

/* An account as it was accepted; shared by its place and those who are copying it. */
struct kept {
	_Atomic int refs;
	struct pm_user user;
	_Alignas(void *) char bytes[];
};

struct place {
	uint8_t name[MAC];  /* as asked for */
	uint8_t canon[MAC]; /* as the section names the account */
	uint8_t pair[MAC];
	struct kept *kept; /* accepted */
	char *why;         /* refused: operator text, or NULL */
	int64_t at_ms;
	int64_t fresh_ms; /* 0: not fresh any more */
	int32_t rc;
	bool used;
};

struct table {
	struct place *places;
	_Atomic size_t taken;
};

struct credcache {
	struct credcache_limits limits;
	char *domain; /* limits.domain */
	size_t n_sets;
	_Atomic uint64_t epoch; /* + 1 with each forgetting */
	uint8_t key[MAC];
	pthread_mutex_t mutex[SHARDS]; /* set i of both tables: mutex i % SHARDS */
	struct table accepted, refused;
};

/* ---- life ------------------------------------------------------------------------------------ */

static void
kept_put(struct kept *k)
{
	if (k && atomic_fetch_sub(&k->refs, 1) == 1)
		free(k);
}

static void
place_clear(struct place *p)
{
	kept_put(p->kept);
	free(p->why);
	secret_wipe(p, sizeof(*p));
}

struct credcache *
credcache_new(const struct credcache_limits *l)
{
	struct credcache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->limits = *l;
	c->limits.domain = c->domain = l->domain ? strdup(l->domain) : NULL;
	c->n_sets = (l->places + WAYS - 1) / WAYS;
	if (c->n_sets == 0)
		c->n_sets = 1;
	secret_random(c->key, sizeof(c->key));
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&c->mutex[i], NULL);
	c->accepted.places = calloc(c->n_sets * WAYS, sizeof(struct place));
	c->refused.places = calloc(c->n_sets * WAYS, sizeof(struct place));
	if (c->accepted.places && c->refused.places && !c->domain == !l->domain)
		return c;
	credcache_free(c);
	return NULL;
}

static void
table_free(struct table *t, size_t n)
{
	for (size_t i = 0; t->places && i < n; i++)
		place_clear(&t->places[i]);
	free(t->places);
}

void
credcache_free(struct credcache *c)
{
	if (!c)
		return;
	table_free(&c->accepted, c->n_sets * WAYS);
	table_free(&c->refused, c->n_sets * WAYS);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&c->mutex[i]);
	free(c->domain);
	secret_wipe(c, sizeof(*c));
	free(c);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static size_t
set_of(const struct credcache *c, const uint8_t name[MAC])
{
	uint64_t h;

	memcpy(&h, name, sizeof(h));
	return (size_t)(h % c->n_sets);
}

static struct place *
set_lock(struct credcache *c, struct table *t, const uint8_t name[MAC])
{
	size_t set = set_of(c, name);

	pthread_mutex_lock(&c->mutex[set % SHARDS]);
	return t->places + set * WAYS;
}

static void
set_unlock(struct credcache *c, const uint8_t name[MAC])
{
	pthread_mutex_unlock(&c->mutex[set_of(c, name) % SHARDS]);
}

static struct place *
set_find(struct place *set, const uint8_t pair[MAC])
{
	for (int i = 0; i < WAYS; i++)
		if (set[i].used && memcmp(set[i].pair, pair, MAC) == 0)
			return &set[i];
	return NULL;
}

static bool
same_str(struct pm_str a, struct pm_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Where the pair goes: its own place, that of the password it replaces, an empty one, the oldest.
 */
static struct place *
set_place(struct place *set, const struct place *new)
{
	struct place *p = set_find(set, new->pair);

	for (int i = 0; !p && new->kept &&i < WAYS; i++)
		if (set[i].used && memcmp(set[i].name, new->name, MAC) == 0 &&
		    same_str(set[i].kept->user.cred_id, new->kept->user.cred_id))
			p = &set[i];
	for (int i = 0; !p && i < WAYS; i++)
		p = set[i].used ? NULL : &set[i];
	if (p)
		return p;
	p = set;
	for (int i = 1; i < WAYS; i++)
		if (set[i].at_ms < p->at_ms)
			p = &set[i];
	return p;
}

/* Takes over what *new points to. */
static void
credcache_table_put(struct credcache *c, struct table *t, const struct place *new)
{
	struct place *p = set_place(set_lock(c, t, new->name), new), old = *p;

	*p = *new;
	if (!old.used)
		atomic_fetch_add(&t->taken, 1);
	set_unlock(c, new->name);
	place_clear(&old);
}

static void
place_free(struct table *t, struct place *p)
{
	place_clear(p);
	atomic_fetch_sub(&t->taken, 1);
}

/* drop: the pair, or everything asked for by this name. */
static void
table_drop(struct credcache *c, struct table *t, const uint8_t name[MAC], const uint8_t *pair)
{
	struct place *set = set_lock(c, t, name);

	for (int i = 0; i < WAYS; i++)
		if (set[i].used && memcmp(set[i].name, name, MAC) == 0 &&
		    (!pair || memcmp(set[i].pair, pair, MAC) == 0))
			place_free(t, &set[i]);
	set_unlock(c, name);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool
hand_out(struct kept *k, struct arena *a, struct pm_user *ret)
{
	void *mem = arena_alloc(a, user_bytes(&k->user));

	if (mem)
		user_pack(&k->user, mem, ret);
	kept_put(k);
	return mem != NULL;
}

/* The account of this pair if it is young enough, with a reference; fresh: by its own limit, too.
 */
static struct kept *
find_kept(struct credcache *c, const struct credtags *t, bool fresh, int64_t now_ms,
	  int64_t *ret_age_ms)
{
	struct place *p = set_find(set_lock(c, &c->accepted, t->name), t->pair);
	struct kept *k = NULL;

	*ret_age_ms = p ? now_ms - p->at_ms : 0;
	if (p && *ret_age_ms < (fresh ? p->fresh_ms : c->limits.good_ms)) {
		k = p->kept;
		atomic_fetch_add(&k->refs, 1);
	}
	set_unlock(c, t->name);
	return k;
}

static bool
find_refusal(struct credcache *c, const struct credtags *t, int64_t now_ms, int32_t *ret_rc,
	     char *error)
{
	struct place *set = set_lock(c, &c->refused, t->name), *p = set_find(set, t->refused);
	bool found;

	if (!p)
		p = set_find(set, t->unknown);
	found = p && now_ms - p->at_ms < p->fresh_ms;
	if (found) {
		*ret_rc = p->rc;
		error[0] = '\0';
		if (p->why)
			memcpy(error, p->why,
			       strlen(p->why) + 1); /* at most PM_ERROR_MAX: it was call->error */
	}
	set_unlock(c, t->name);
	return found;
}

bool
credcache_find(struct credcache *c, const struct pm_cred *cred, int64_t now_ms, struct arena *a,
	       int32_t *ret_rc, struct pm_user *ret_user, char *error)
{
	struct credtags t;
	struct kept *k;
	int64_t age;

	if (!c || !credtags_make(c->key, cred, &t))
		return false;
	k = find_kept(c, &t, true, now_ms, &age);
	if (k) {
		*ret_rc = PM_OK;
		return hand_out(k, a, ret_user);
	}
	return find_refusal(c, &t, now_ms, ret_rc, error);
}

bool
credcache_last_good(struct credcache *c, const struct pm_cred *cred, int64_t now_ms,
		    struct arena *a, struct pm_user *ret_user, int64_t *ret_age_ms)
{
	struct credtags t;
	struct kept *k;

	if (!c || c->limits.good_ms == 0 || !credtags_make(c->key, cred, &t))
		return false;
	k = find_kept(c, &t, false, now_ms, ret_age_ms);
	return k && hand_out(k, a, ret_user);
}

/* ---- learning -------------------------------------------------------------------------------- */

static struct kept *
kept_new(const struct pm_user *u)
{
	size_t n = user_bytes(u);
	struct kept *k = n <= ACCOUNT_MAX ? malloc(sizeof(*k) + n) : NULL;

	if (!k)
		return NULL;
	atomic_init(&k->refs, 1);
	user_pack(u, k->bytes, &k->user);
	return k;
}

static void
credcache_accept(struct credcache *c, const struct pm_cred *cred, const struct credtags *t,
		 const struct pm_user *u, int64_t now_ms)
{
	struct place p = {
		.at_ms = now_ms, .fresh_ms = c->limits.fresh_ms, .rc = PM_OK, .used = true};
	struct pm_str canon = u->name.n > 0 ? u->name : cred->authcid;

	if (u->cache_s >= 0 && (int64_t)u->cache_s * 1000 < p.fresh_ms)
		p.fresh_ms = (int64_t)u->cache_s * 1000;
	if (u->cache_s == 0 || (p.fresh_ms == 0 && c->limits.good_ms == 0) ||
	    !credtag_name(c->key, canon, p.canon) || !(p.kept = kept_new(u))) {
		table_drop(c, &c->accepted, t->name, t->pair);
		return;
	}
	memcpy(p.name, t->name, MAC);
	memcpy(p.pair, t->pair, MAC);
	credcache_table_put(c, &c->accepted, &p);
}

static void
credcache_refuse(struct credcache *c, const struct credtags *t, int32_t rc, const char *error,
		 int64_t now_ms)
{
	struct place p = {
		.at_ms = now_ms, .fresh_ms = c->limits.negative_ms, .rc = rc, .used = true};

	if (c->limits.negative_ms == 0)
		return;
	if (*error)
		p.why = strdup(error); /* NULL: told without the text */
	memcpy(p.name, t->name, MAC);
	memcpy(p.canon, t->name, MAC);
	memcpy(p.pair, rc == PM_DENIED ? t->refused : t->unknown, MAC);
	credcache_table_put(c, &c->refused, &p);
}

uint64_t
credcache_epoch(const struct credcache *c)
{
	return c ? atomic_load(&c->epoch) : 0;
}

void
credcache_learn(struct credcache *c, uint64_t epoch, const struct pm_cred *cred, int32_t rc,
		const struct pm_user *u, bool may_enter, const char *error, int64_t now_ms)
{
	struct credtags t;

	if (!c || !credtags_make(c->key, cred, &t))
		return;
	if (rc == PM_OK && may_enter) {
		table_drop(c, &c->refused, t.name, NULL);
		if (epoch == credcache_epoch(c))
			credcache_accept(c, cred, &t, u, now_ms);
	} else if (rc == PM_OK) {
		credcache_forget(c, u->name.n > 0 ? u->name : cred->authcid);
		table_drop(c, &c->accepted, t.name, NULL);
	} else if (rc == PM_DENIED) {
		table_drop(c, &c->accepted, t.name, t.pair);
		credcache_refuse(c, &t, rc, error, now_ms);
	} else if (rc == PM_NOENT || rc == PM_NEXT) {
		table_drop(c, &c->accepted, t.name, NULL);
		credcache_refuse(c, &t, rc, error, now_ms);
	}
}

/* ---- forgetting ------------------------------------------------------------------------------ */

/* fn for every place in use, under its set's mutex. */
static void
each_place(struct credcache *c, struct table *t,
	   void (*fn)(struct table *t, struct place *p, const uint8_t *name), const uint8_t *name)
{
	for (size_t set = 0; set < c->n_sets; set++) {
		pthread_mutex_lock(&c->mutex[set % SHARDS]);
		for (struct place *p = t->places + set * WAYS; p < t->places + (set + 1) * WAYS;
		     p++)
			if (p->used)
				fn(t, p, name);
		pthread_mutex_unlock(&c->mutex[set % SHARDS]);
	}
}

static void
place_forget(struct table *t, struct place *p, const uint8_t *name)
{
	if (!name || memcmp(p->name, name, MAC) == 0 || memcmp(p->canon, name, MAC) == 0)
		place_free(t, p);
}

static void
place_stale(struct table *t, struct place *p, const uint8_t *name)
{
	(void)t;
	(void)name;
	p->fresh_ms = 0;
}

static void
forget_name(struct credcache *c, struct pm_str name)
{
	uint8_t tag[MAC];
	bool one = name.n > 0;

	if (one && !credtag_name(c->key, name, tag))
		one = false; /* cannot tell whom: all of them */
	each_place(c, &c->accepted, place_forget, one ? tag : NULL);
	each_place(c, &c->refused, place_forget, one ? tag : NULL);
}

void
credcache_forget(struct credcache *c, struct pm_str name)
{
	const char *at = c && c->domain && name.n > 0 ? memrchr(name.p, '@', name.n) : NULL;
	size_t local = at ? (size_t)(at - name.p) : 0;

	if (!c)
		return;
	atomic_fetch_add(&c->epoch, 1); /* first: an answer under way was given before */
	forget_name(c, name);
	/* the section itself calls this account by the part before its domain */
	if (local > 0 && name.n - local - 1 == strlen(c->domain) &&
	    strncasecmp(at + 1, c->domain, strlen(c->domain)) == 0)
		forget_name(c, (struct pm_str){name.p, local});
}

void
credcache_stale(struct credcache *c)
{
	if (!c)
		return;
	atomic_fetch_add(&c->epoch, 1);
	each_place(c, &c->accepted, place_stale, NULL);
	each_place(c, &c->refused, place_stale, NULL);
}

struct credcache_usage
credcache_usage(const struct credcache *c)
{
	return c ? (struct credcache_usage){c->accepted.taken, c->refused.taken, c->n_sets * WAYS}
		 : (struct credcache_usage){.places = 0};
}
