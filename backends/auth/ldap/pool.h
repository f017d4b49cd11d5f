/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - as many pairs of connections as there are permits, and which servers are up. A call never waits here: it
 * holds a permit, so there is a pair for it.
 */
#ifndef LDAP_POOL_H
#define LDAP_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "conn.h"
#include "inst.h"

/* Searches and binds of users never share a connection: a bind changes who everything behind it is asked as. */
struct pair {
	struct conn search; /* bound as the service */
	struct conn user;
	bool busy;
	bool reused; /* in this attempt: a connection was not made for it */
};

struct pool *pool_new(const struct inst *inst, uint32_t permits);
void pool_free(struct pool *p);

/* NULL: more calls than permits. */
struct pair *pool_take(struct pool *p);
void pool_give(struct pool *p, struct pair *pair);

/* A connection of this pair to this server, made when there is none. *ret is the pair's own. */
int32_t pair_search(struct pair *pair, const struct ask *a, size_t server, struct conn **ret);
int32_t pair_user(struct pair *pair, const struct ask *a, size_t server, struct conn **ret);
void pair_close(struct pair *pair);

/* What is done with one server: PM_DOWN and PM_TIMEOUT send the call to the next one. */
typedef int32_t (*attempt_fn)(struct pair *pair, const struct ask *a, size_t server, void *ctx);

/*
 * Tries the servers that are up in their order, then the others; keeps the books. Each gets its share of the time
 * left. The result of the last attempt.
 */
int32_t pool_each(struct pool *p, const struct ask *a, attempt_fn attempt, void *ctx);

/* Is there any server that did not fail when it was last asked? */
bool pool_any_up(struct pool *p);

/* Tries the servers that are down and closes what is idle (all: whether it is or not). Bounded by `a`. */
void pool_revive(struct pool *p, const struct ask *a);
void pool_close_idle(struct pool *p, bool all);

#endif
