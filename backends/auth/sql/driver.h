/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver - what the databases have in common. A driver opens a connection and runs one prepared
 * statement on it with bound values; both end by `until`, whatever the server does. A connection
 * whose answer did not come in time is never used again: `lost` tells the pool to close it.
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

/* When a call has to be back. */
struct sql_until {
	const struct pm_host *host;
	int64_t ms;
};
int64_t driver_left_ms(struct sql_until u);

/* What went wrong. */
struct sql_fail {
	bool lost; /* the connection is of no use any more */
	/* the same statement may well succeed now: a deadlock, a statement that was forgotten */
	bool again;
	bool readonly;            /* this server takes no writes */
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

/* Rows of text. Cells of a NULL have p = NULL. */
struct sql_result {
	uint32_t n_cols, n_rows;
	uint64_t affected;
	struct pm_str *names; /* n_cols */
	struct pm_str *cells; /* n_rows * n_cols */
	size_t n_text, n_cells, cap_text, cap_cells;
	char *text;  /* what names and cells point into; wiped: it holds hashes */
	bool failed; /* no memory, or more than SQL_RESULT_BYTES */
};
#define SQL_RESULT_BYTES (1u << 20)

/* Filling: all names, then cells row by row; then end. A result that failed stays empty. */
void result_name(struct sql_result *r, const char *name);
void result_cell(struct sql_result *r, const char *p, size_t n);
bool result_end(struct sql_result *r);
void result_free(struct sql_result *r);
/* The cell of this column, NULL: there is no such column. */
const struct pm_str *result_get(const struct sql_result *r, uint32_t row, const char *column);

struct sql_conn; /* each driver's own */

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
	/* Looks, without waiting, whether an idle connection was closed by the server or has
	 * something to say. */
	bool (*stale)(struct sql_conn *c);
	/* PM_OK fills *r. PM_DOWN, PM_TIMEOUT, PM_TEMP, PM_NOMEM. */
	int32_t (*run)(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
		       struct sql_until until, struct sql_result *r, struct sql_fail *f);
};

extern const struct sql_driver sql_mysql, sql_pgsql, sql_sqlite;
/* The driver of this name; NULL: this build has none. */
const struct sql_driver *drivers_find(struct pm_str name);

#endif
