/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db - connections, and statements on them. There are as many connections as permits, so that
 * nobody waits here for one. Servers are tried in the order of the configuration, those that failed
 * last of all.
 *
 * Work is a function that may be run again from its start, on another connection or server, when
 * the first was lost or a conflict undid it. It keeps what it has to know of an earlier attempt in
 * its argument.
 */
#ifndef MYSQL_DB_H
#define MYSQL_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "connpool.h"
#include "mariadb.h"

#define DB_TEXT 200
#define DB_COLS_MAX 8

/* Each is prepared on a connection when first used; the texts are in statements.c. */
enum db_stmt {
	/* schema and processes */
	ST_VERSION,
	ST_END,
	ST_END_LOCKED,
	ST_PLACE,
	ST_SERVER_SEEN,
	ST_SERVER_GONE,
	ST_SERVERS_OLD,
	/* mailboxes and leases */
	ST_BOX_FIND,
	ST_BOX_OPEN,
	ST_BOX_MAKE,
	ST_BOX_LOCK,
	ST_BOX_ADD,
	ST_BOX_SUB,
	ST_BOX_HIDDEN,
	ST_BOX_COUNT,
	ST_BOX_SET,
	ST_BOX_DELETE,
	ST_BOX_LIST,
	ST_BOX_STAT,
	ST_LEASE_MAKE,
	ST_LEASE_STATE,
	ST_LEASE_TAKE,
	ST_LEASE_GIVE,
	ST_LEASE_COMMIT,
	ST_LEASE_FENCE,
	ST_LEASE_LOOK,
	ST_LEASE_DELETE,
	ST_DOMAIN_ADD,
	ST_DOMAIN_SUM,
	ST_DOMAIN_LOCK,
	ST_DOMAIN_BOXES,
	ST_DOMAIN_SET,
	ST_DOMAIN_RECOUNT,
	/* messages */
	ST_SNAPSHOT,
	ST_RECORDS,
	ST_INFO,
	ST_READ_FIRST,
	ST_READ_NEXT,
	ST_MESSAGE_THERE,
	ST_UIDL_THERE,
	ST_MESSAGE_ADD,
	ST_MESSAGE_TAKE_BACK,
	ST_BOX_BURY,
	ST_BOX_EMPTY,
	ST_EXPIRED,
	/* bodies */
	ST_INCOMING_ADD,
	ST_INCOMING_TOUCH,
	ST_INCOMING_LIVE,
	ST_INCOMING_OLD,
	ST_INCOMING_REAP,
	ST_CHUNK_ADD,
	ST_CHUNK_AGAIN,
	ST_CHUNK_COUNT,
	ST_IMPORT_THERE,
	ST_IMPORT_KNOWN,
	ST_IMPORT_ADD,
	ST_IMPORT_AGAIN,
	ST_IMPORT_TAKE_BACK,
	ST_IMPORT_OLD,
	ST_IMPORT_FORGET,
	ST_GARBAGE_ADD,
	ST_GARBAGE_LIST,
	ST_GARBAGE_DELETE,
	ST_COUNT
};
extern const char *const db_texts[ST_COUNT];

/* Numbers of columns are unsigned, and pos and body pass 2^63 in September 2039; DB_I is for
 * differences. */
struct db_arg {
	enum { DB_NUMBER, DB_DIFFERENCE, DB_BYTES, DB_NULL } kind;
	int64_t u;
	const void *p;
	size_t n;
};
#define DB_U(v) ((struct db_arg){.kind = DB_NUMBER, .u = (int64_t)(v)})
#define DB_I(v) ((struct db_arg){.kind = DB_DIFFERENCE, .u = (v)})
#define DB_S(ptr, len) ((struct db_arg){.kind = DB_BYTES, .p = (ptr), .n = (len)})
#define DB_NIL ((struct db_arg){.kind = DB_NULL})

/* The place of a column's value: a number when p is NULL, else at most cap bytes; a longer value is
 * PM_CORRUPT. */
struct db_col {
	void *p;
	size_t cap, n;
	int64_t u;
	bool is_signed; /* a number that may be negative: a date */
	bool null;
};

struct st_mysql_stmt;
struct db_pool;

/* A failure. */
struct db_fail {
	int32_t rc;    /* PM_OK: nothing */
	unsigned code; /* the library's or the server's number; 0: neither */
	/* the connection is useless now; the last statement may have been done or not */
	bool lost;
	/* the same may well succeed if tried again: a deadlock, a conflict with another node */
	bool again;
	bool readonly;      /* this server takes no writes */
	char text[DB_TEXT]; /* for the operator; no control characters */
};

/* One connection. */
struct db {
	struct db_pool *pool;
	struct sdk_my *conn;
	struct st_mysql_stmt *stmts[ST_COUNT];
	int64_t until_ms; /* deadline of the running statement */
	bool in_transaction;
	/* of the running work */
	struct db_fail fail;
	uint64_t affected;
	uint64_t insert_id;
	/* of the result that is being read */
	struct db_col *cols;
	size_t n_cols;
	unsigned long lengths[DB_COLS_MAX];
	char nulls[DB_COLS_MAX];
	char errors[DB_COLS_MAX];
};

struct db_pool {
	const struct pm_host *host;
	struct sdk_my_access access;
	struct sdk_server servers[SDK_SERVERS_MAX];
	size_t n_servers;
	struct sdk_pool *places;
	int64_t connect_ms, query_ms;
	/* greet runs on each new connection before anything else, `before` ahead of each piece of
	 * work; PM_OK, or d->fail is filled */
	int32_t (*greet)(struct db *d);
	int32_t (*before)(struct db *d);
	/* a write; after it this server has everything that was committed before, or it is an error
	 */
	int32_t (*settle)(struct db *d);
	void *ctx; /* for these functions */
};

typedef int32_t db_work(struct db *d, void *arg);

/* Runs work, and again when that may help. One attempt may take query_ms, and more_ms when there is
 * much to do, but leaves some of the call's time for another. The failure's text is in call->error.
 */
int32_t db_do(struct db_pool *p, const struct pm_call *call, int64_t more_ms, db_work *work,
	      void *arg);

/* Statements, for work. PM_OK, or d->fail filled and its rc returned. */
int32_t db_exec(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args);
/* A result: db_next gives PM_OK with the columns filled, or PM_END; db_end in any case. */
int32_t db_select(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
		  struct db_col *cols, size_t n_cols);
int32_t db_next(struct db *d, enum db_stmt which);
void db_end(struct db *d, enum db_stmt which);
/* One row: PM_OK, or PM_END when there is none. */
int32_t db_row(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
	       struct db_col *cols, size_t n_cols);
/* The same for a row that has to exist. A node that was frozen may have gone on without changes the
 * others have, and its reads do not wait for those. So before the answer is that there is none, a
 * write shows whether this server is up to date. Outside of transactions. */
int32_t db_row_sure(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
		    struct db_col *cols, size_t n_cols);
/* Runs a statement made of our own numbers and words. */
int32_t db_text(struct db *d, const char *text, size_t n);
/* Runs "WHAT WHERE IN (values) AND", made of our own numbers and words; n > 0. */
int32_t db_list(struct db *d, const char *what, const char *where, const uint64_t *values, size_t n,
		const char *and);
int32_t db_begin(struct db *d);
int32_t db_commit(struct db *d);
/* Notes a failure found by the caller; returns rc. */
int32_t db_say(struct db *d, int32_t rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Undoes the open transaction, keeps d->fail as it is; returns rc. */
int32_t db_rollback(struct db *d, int32_t rc);

/* Closes a connection; for sdk_pool_new. */
void db_close(void *conn);
/* Asks servers that were down whether they are back. */
void db_revive(struct db_pool *p, int64_t deadline_ms);

#endif
