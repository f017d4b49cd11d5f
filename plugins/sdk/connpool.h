/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connpool - a place for a connection for each permit, and which of several servers are up. A call
 * holds a permit, so there is a place for it and it never waits here. A connection is the module's
 * business: here it is a pointer. Servers are numbered in the order of the configuration, which is
 * the order in which they are tried; those that failed come last.
 *
 * Threads: all functions from any thread; a place belongs to the caller that took it until it is
 * given back.
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
	size_t server; /* the server it leads to */
	unsigned era;  /* the pool's */
	bool busy;     /* the pool's */
};

/* Connects to one server by until_ms (host->now_ms). PM_OK: *ret is the connection. Otherwise why
 * (SDK_WHY_MAX bytes) gets the trouble with the server, for the operator; PM_NOMEM and PM_CANCELLED
 * are not the server's fault. */
typedef int32_t (*sdk_connect_fn)(void *ctx, size_t server, int64_t until_ms, void **ret,
				  char *why);

/* labels: names of the servers for messages; they and host must live as long as the pool. NULL: no
 * memory. */
struct sdk_pool *sdk_pool_new(const struct pm_host *host, uint32_t permits,
			      const char *const *labels, size_t n_labels,
			      void (*close)(void *conn));
/* Closes everything; nobody may hold a place any more. NULL is fine. */
void sdk_pool_free(struct sdk_pool *p);

/* Takes a place, with a connection if there is one; not to a server that is down, when there are
 * others. NULL: more calls than permits. */
struct sdk_place *sdk_pool_take(struct sdk_pool *p);
void sdk_pool_give(struct sdk_pool *p, struct sdk_place *place);
/* Closes the connection of a place, if there is one. */
void sdk_place_close(struct sdk_pool *p, struct sdk_place *place);
/* Connects a place that has no connection, to any server except those of the mask `not`. Each gets
 * its share of the time left. Returns the result of the last attempt; PM_TIMEOUT when there was no
 * time for any. */
int32_t sdk_pool_connect(struct sdk_pool *p, struct sdk_place *place, uint32_t not,
			 int64_t deadline_ms, sdk_connect_fn connect, void *ctx, char *why);

/* Notes that a server failed, or works: a change is one line in the log. When one comes back,
 * connections to others are closed as they are taken next. */
void sdk_pool_note(struct sdk_pool *p, size_t server, bool down, const char *why);
/* Asks servers that are down whether they are back. For a tick. */
void sdk_pool_revive(struct sdk_pool *p, int64_t deadline_ms, sdk_connect_fn connect, void *ctx);
/* True if there is a server that did not fail when it was last asked. */
bool sdk_pool_any_up(struct sdk_pool *p);
/* Calls `idle` with each connection that nobody uses, and closes those for which it returns true.
 * For a tick. */
void sdk_pool_sweep(struct sdk_pool *p, bool (*idle)(void *conn));
/* Closes idle connections now, and busy ones when they are given back. */
void sdk_pool_retire(struct sdk_pool *p);

#endif
