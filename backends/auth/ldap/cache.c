/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables of sets of four places: accepted by name, refused by name and password, so that wrong guesses push out
 * wrong guesses only. In a full set the oldest goes.
 */
#include "cache.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 4
#define MAC 32

struct place {
	unsigned char key[MAC];    /* of the name; in the second table of name and password */
	unsigned char secret[MAC]; /* of name and password */
	struct account *acc;       /* first table only */
	int64_t at_ms;
	bool used, unknown;
};

struct table {
	struct place *places;
	size_t n_sets;
};

struct cache {
	pthread_mutex_t mutex;
	struct table accepted, refused;
	unsigned char key[MAC];
};

struct cache *
cache_new(size_t places)
{
	struct cache *c = calloc(1, sizeof(*c));
	size_t sets = places / WAYS > 0 ? places / WAYS : 1;

	if (!c)
		return NULL;
	pthread_mutex_init(&c->mutex, NULL);
	c->accepted = (struct table){calloc(sets * WAYS, sizeof(struct place)), sets};
	c->refused = (struct table){calloc(sets * WAYS, sizeof(struct place)), sets};
	if (c->accepted.places && c->refused.places && getrandom(c->key, MAC, 0) == MAC)
		return c;
	cache_free(c);
	return NULL;
}

static void
clear(struct place *p)
{
	account_put(p->acc);
	explicit_bzero(p, sizeof(*p));
}

static void
table_free(struct table *t)
{
	for (size_t i = 0; t->places && i < t->n_sets * WAYS; i++)
		clear(&t->places[i]);
	free(t->places);
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	table_free(&c->accepted);
	table_free(&c->refused);
	pthread_mutex_destroy(&c->mutex);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

/* ---- digests --------------------------------------------------------------------------------- */

struct digests {
	unsigned char name[MAC], both[MAC];
};

/* The second one is made of the first and the password: no two pairs look alike, wherever one is cut. */
static bool
digest(const struct cache *c, struct pm_str name, struct pm_str secret, struct digests *ret)
{
	unsigned char inner[MAC + 1024];
	unsigned n = 0;
	bool good;

	if (secret.n > sizeof(inner) - MAC)
		return false;
	good = HMAC(EVP_sha256(), c->key, MAC, (const unsigned char *)name.p, name.n, ret->name, &n) && n == MAC;
	memcpy(inner, ret->name, MAC);
	memcpy(inner + MAC, secret.p, secret.n);
	good = good && HMAC(EVP_sha256(), c->key, MAC, inner, MAC + secret.n, ret->both, &n) && n == MAC;
	explicit_bzero(inner, sizeof(inner));
	return good;
}

/* ---- places, under the mutex ----------------------------------------------------------------- */

static struct place *
set_of(const struct table *t, const unsigned char *key)
{
	uint64_t h;

	memcpy(&h, key, sizeof(h));
	return t->places + h % t->n_sets * WAYS;
}

static struct place *
find(const struct table *t, const unsigned char *key)
{
	struct place *set = set_of(t, key);

	for (int i = 0; i < WAYS; i++)
		if (set[i].used && memcmp(set[i].key, key, MAC) == 0)
			return &set[i];
	return NULL;
}

/* Its place, or an empty one, or the oldest. */
static struct place *
place_for(const struct table *t, const unsigned char *key)
{
	struct place *p = find(t, key), *set = set_of(t, key);

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

static void
put(const struct table *t, const unsigned char *key, const struct digests *d, struct account *acc, bool unknown,
    int64_t now_ms)
{
	struct place *p = place_for(t, key);

	clear(p);
	*p = (struct place){.acc = acc, .at_ms = now_ms, .used = true, .unknown = unknown};
	memcpy(p->key, key, MAC);
	memcpy(p->secret, d->both, MAC);
}

/* The pair's place among the accepted. */
static struct place *
find_accepted(const struct cache *c, const struct digests *d)
{
	struct place *p = find(&c->accepted, d->name);

	return p && memcmp(p->secret, d->both, MAC) == 0 ? p : NULL;
}

/* ---- outside --------------------------------------------------------------------------------- */

struct account *
cache_accepted(struct cache *c, struct pm_str name, struct pm_str secret, int64_t since_ms)
{
	struct account *acc = NULL;
	struct digests d;
	struct place *p;

	if (!digest(c, name, secret, &d))
		return NULL;
	pthread_mutex_lock(&c->mutex);
	p = find_accepted(c, &d);
	if (p && p->at_ms >= since_ms)
		acc = account_ref(p->acc);
	pthread_mutex_unlock(&c->mutex);
	return acc;
}

bool
cache_refused(struct cache *c, struct pm_str name, struct pm_str secret, int64_t since_ms, bool *ret_unknown)
{
	struct digests d;
	struct place *p;
	bool yes;

	if (!digest(c, name, secret, &d))
		return false;
	pthread_mutex_lock(&c->mutex);
	p = find(&c->refused, d.both);
	yes = p && p->at_ms >= since_ms;
	if (yes)
		*ret_unknown = p->unknown;
	pthread_mutex_unlock(&c->mutex);
	return yes;
}

void
cache_accept(struct cache *c, struct pm_str name, struct pm_str secret, struct account *acc, int64_t now_ms)
{
	struct digests d;
	struct place *p;

	if (!digest(c, name, secret, &d))
		return;
	pthread_mutex_lock(&c->mutex);
	put(&c->accepted, d.name, &d, account_ref(acc), false, now_ms);
	p = find(&c->refused, d.both);
	if (p)
		clear(p);
	pthread_mutex_unlock(&c->mutex);
}

void
cache_forget(struct cache *c, struct pm_str name, struct pm_str secret)
{
	struct digests d;
	struct place *p;

	if (!digest(c, name, secret, &d))
		return;
	pthread_mutex_lock(&c->mutex);
	p = find_accepted(c, &d);
	if (p)
		clear(p);
	pthread_mutex_unlock(&c->mutex);
}

void
cache_refuse(struct cache *c, struct pm_str name, struct pm_str secret, bool unknown, int64_t now_ms)
{
	struct digests d;

	cache_forget(c, name, secret);
	if (!digest(c, name, secret, &d))
		return;
	pthread_mutex_lock(&c->mutex);
	put(&c->refused, d.both, &d, NULL, unknown, now_ms);
	pthread_mutex_unlock(&c->mutex);
}
