/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - a pair of connections for each permit, and servers with fail-over in the middle of a
 * login. Places and servers are sdk/connpool.h's. A call never waits here: it holds a permit, so
 * there is a pair for it.
 */
#ifndef LDAP_POOL_H
#define LDAP_POOL_H

#include <stdbool.h>

#include "ask.h"
#include "conn.h"
#include "connpool.h"

/* Searches and binds of users never share a connection: a bind changes the identity that
 * everything after it is asked under. */
struct pair {
	const struct inst *inst;
	const struct server *server;
	struct conn search; /* bound as the service */
	struct conn user;
};

/* NULL: no memory. */
struct sdk_pool *pool_new(const struct inst *inst, uint32_t permits);

/* A connection of this pair, made when there is none. *ret is the pair's own. */
int32_t pair_search(struct pair *pair, const struct ask *a, struct conn **ret);
int32_t pair_user(struct pair *pair, const struct ask *a, struct conn **ret);

/* Work with one server: PM_DOWN and PM_TIMEOUT send the call to the next one. */
typedef int32_t (*attempt_fn)(struct pair *pair, const struct ask *a, void *ctx);

/* Tries servers until one has answered; each gets its share of the time left. The result of the
 * last attempt. */
int32_t pool_each(const struct ask *a, attempt_fn attempt, void *ctx);

/* Asks the servers that are down whether they are back, and closes what is idle. Bounded by `a`. */
void pool_tend(const struct ask *a);

#endif
