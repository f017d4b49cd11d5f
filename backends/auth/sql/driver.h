/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver - the interface that the databases have in common. A driver opens a connection and runs
 * one prepared statement on it with bound values; both end by `until`, whatever the server does. A
 * connection whose answer did not come in time is never used again: `lost` tells the pool to close
 * it.
 *
 * Threads: a connection is used by one thread at a time, not always the same.
 */
#ifndef SQL_DRIVER_H
#define SQL_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "connpool.h"
#include "query.h"
#include "server.h"
#include "watch.h"

#define SQL_FAIL_TEXT SDK_WHY_MAX

/* The time at which a call has to be back. */
struct sql_until {
	const struct pm_host *host;
	int64_t ms;
};
int64_t driver_left_ms(struct sql_until u);

/* A failure. */
struct sql_fail {
	bool lost; /* the connection is useless now */
	/* the same statement may well succeed now: a deadlock, a statement that was forgotten */
	bool again;
	bool readonly; /* this server takes no writes */
	/* a value has letters that the database cannot compare with its own */
	bool foreign;
	char text[SQL_FAIL_TEXT]; /* for the operator; no secret, no control characters */
};
/* Notes the text, returns rc. Control characters of servers' messages become spaces. */
int32_t driver_failed(struct sql_fail *f, int32_t rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* How to connect: the same for all servers. */
struct sql_access {
	char *database, *user, *password;
	bool tls;
	char *tls_ca;
	struct sdk_watch *watch; /* for a driver that wants one */
};

struct sql_result; /* result.h */
struct sql_conn;   /* each driver's own */

struct sql_driver {
	const char *name;
	enum sql_dialect dialect;
	bool network;
	bool watched; /* its library blocks: access.watch is needed */
	uint16_t port;
	/* opt, main: once per process. */
	int32_t (*global_init)(void);
	/* PM_OK, PM_DOWN, PM_TIMEOUT, PM_NOMEM. */
	int32_t (*connect)(const struct sql_access *a, const struct sdk_server *s,
			   struct sql_until until, struct sql_conn **ret, struct sql_fail *f);
	void (*close)(void *conn); /* as sdk_pool_new wants it */
	/* True if an idle connection was closed by the server or has something to say. Does not
	 * wait. */
	bool (*stale)(struct sql_conn *c);
	/* PM_OK fills *r. PM_DOWN, PM_TIMEOUT, PM_TEMP, PM_NOMEM. */
	int32_t (*run)(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
		       struct sql_until until, struct sql_result *r, struct sql_fail *f);
};

#endif
