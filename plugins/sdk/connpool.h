/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connpool - a place for a connection for each permit, and which of several servers are up. A call
 * holds a permit, so there is a place for it and it never waits here. What a connection is, is the
 * module's business: here it is a pointer. Servers are numbered in the order of the configuration,
 * which is the order they are tried in; those that failed come last.
 *
 * Threads: all functions from any thread; a place belongs to who took it until it is given back.
 */
#ifndef SDK_CONNPOOL_H
#define SDK_CONNPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#define SDK_SERVERS_MAX 16
#define SDK_WHY_MAX 200

struct sdk_pool;

struct sdk_place {
	void *conn;    /* NULL: there is none */
	size_t server; /* where it leads */
	unsigned era;  /* the pool's */
	bool busy;     /* the pool's */
};

/*
 * Connects to one server by until_ms (host->now_ms). PM_OK: *ret is the connection. Else why
 * (SDK_WHY_MAX bytes) says what is wrong with the server, for the operator; PM_NOMEM and
 * PM_CANCELLED say nothing about it.
 */
typedef int32_t (*sdk_connect_fn)(void *ctx, size_t server, int64_t until_ms, void **ret,
				  char *why);

/* labels: of the servers, for messages; they and host live as long as the pool. NULL: no memory. */
struct sdk_pool *sdk_pool_new(const struct pm_host *host, uint32_t permits,
			      const char *const *labels, size_t n_labels,
			      void (*close)(void *conn));
/* Closes all; nobody holds a place any more. NULL is fine. */
void sdk_pool_free(struct sdk_pool *p);

/* A place, one with a connection if there is any; not to a server that is down, when there are
 * others. NULL: more calls than permits. */
struct sdk_place *sdk_pool_take(struct sdk_pool *p);
void sdk_pool_give(struct sdk_pool *p, struct sdk_place *place);
/* Closes what is there, if anything. */
void sdk_place_close(struct sdk_pool *p, struct sdk_place *place);
/*
 * A connection for a place without one, to any server but those of the mask `not`. Each gets its
 * share of the time left. The result of the last attempt; PM_TIMEOUT when there was no time for
 * any.
 */
int32_t sdk_pool_connect(struct sdk_pool *p, struct sdk_place *place, uint32_t not,
			 int64_t deadline_ms, sdk_connect_fn connect, void *ctx, char *why);

/* A server failed, or works: a change is one line in the log. When one comes back, connections to
 * others are closed as they are taken next. */
void sdk_pool_note(struct sdk_pool *p, size_t server, bool down, const char *why);
/* Asks servers that are down whether they are back. For a tick. */
void sdk_pool_revive(struct sdk_pool *p, int64_t deadline_ms, sdk_connect_fn connect, void *ctx);
/* Is there any server that did not fail when it was last asked? */
bool sdk_pool_any_up(struct sdk_pool *p);
/* Shows the connections that nobody uses to `idle`, and closes those it says yes to. For a tick. */
void sdk_pool_sweep(struct sdk_pool *p, bool (*idle)(void *conn));
/* Closes what is idle now, and what is busy when it is given back. */
void sdk_pool_retire(struct sdk_pool *p);

#endif
