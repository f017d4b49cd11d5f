/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credcache - what an auth section said of a name and a password a while ago. Off unless
 * configured.
 *
 * Kept are keyed digests (HMAC-SHA-256, a key drawn with each cache and never written anywhere), no
 * password and nothing that could be tried against a dictionary without that key. A cache belongs
 * to one instance of a section: a section that a reload changes begins with an empty one.
 *
 * Accepted: per name and password. Fresh for fresh_ms (and pm_user.cache_s) it spares the call; for
 * good_ms it lets its user in while the section cannot be asked (last known good). A user has
 * several places, one for each app password; a new password takes the place of the old one once it
 * was accepted. Refused: per name, client address and password; unknown: per name and address; for
 * negative_ms. An accepted pair is good from every address: a section that binds an account to
 * addresses says cache_s = 0.
 *
 * Threads: any. Sets of 8 places by name, 16 mutexes; no function holds two. Bounded: in a full set
 * the oldest goes, and wrong guesses push out wrong guesses only.
 */
#ifndef RST_ACCOUNT_CREDCACHE_H
#define RST_ACCOUNT_CREDCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "base/arena.h"

struct credcache_limits {
	int64_t fresh_ms;    /* accepted; 0: always asked */
	int64_t negative_ms; /* refused, unknown; 0: always asked */
	int64_t good_ms;     /* last known good; 0: never */
	size_t places;       /* of the accepted, and as many of the refused */
	/* appended to names that the section gives without one (own.h); NULL: none; copied */
	const char *domain;
};

struct credcache;

/* NULL: no memory. */
struct credcache *credcache_new(const struct credcache_limits *l);
void credcache_free(struct credcache *c); /* NULL is fine */

/* All below: c may be NULL (no cache); only PM_CRED_PASSWORD is ever known. */

/* A fresh answer. True: *ret_rc is PM_OK (*ret_user filled, its strings in the arena), PM_DENIED,
 * PM_NOENT or PM_NEXT (error: the operator text of then, PM_ERROR_MAX + 1 bytes). */
bool credcache_find(struct credcache *c, const struct pm_cred *cred, int64_t now_ms,
		    struct arena *a, int32_t *ret_rc, struct pm_user *ret_user, char *error);

/* The section cannot be asked: was this pair accepted within good_ms? *ret_age_ms: how long ago. */
bool credcache_last_good(struct credcache *c, const struct pm_cred *cred, int64_t now_ms,
			 struct arena *a, struct pm_user *ret_user, int64_t *ret_age_ms);

/* Before the section is asked; for credcache_learn. */
uint64_t credcache_epoch(const struct credcache *c);

/*
 * The section has answered rc. PM_OK is kept when may_enter - the account is enabled and has the
 * right to come in - and else everything about the name is forgotten. PM_DENIED forgets this pair,
 * PM_NOENT and PM_NEXT the name, and all three are remembered as refusals. Other codes say nothing
 * about the user: nothing changes. epoch: an acceptance from before a credcache_forget is not kept.
 */
void credcache_learn(struct credcache *c, uint64_t epoch, const struct pm_cred *cred, int32_t rc,
		     const struct pm_user *u, bool may_enter, const char *error, int64_t now_ms);

/* Forgets a user, by the name asked for or the canonical one; an empty name: all. */
void credcache_forget(struct credcache *c, struct pm_str name);

/* A reload that left the section as it is: everybody is asked again; only last known good stays. */
void credcache_stale(struct credcache *c);

/* Places taken, also by what is over its time: it stays until its place is needed. */
struct credcache_usage {
	size_t accepted, refused;
	size_t places; /* of each */
};
struct credcache_usage credcache_usage(const struct credcache *c);

#endif
