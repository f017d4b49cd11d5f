/* SPDX-License-Identifier: Apache-2.0 */
#include "db.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "say.h"

#define REVIVE_MS 1000
#define CLOSE_MS 100
#define ATTEMPTS 6      /* of work that was undone by a conflict */
#define LOST_ATTEMPTS 3 /* of work whose connection was lost */
#define RESERVE_MS 4000 /* of a large deletion's time, to find out its outcome */

static int64_t
db_now_ms(const struct db_pool *p)
{
	return p->host->now_ms(p->host->ctx);
}

/* ---- failures -------------------------------------------------------------------------------- */

int32_t
db_say(struct db *d, int32_t rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->fail.text, sizeof(d->fail.text), fmt, ap);
	va_end(ap);
	for (char *p = d->fail.text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return d->fail.rc = rc;
}

/* Classifies a failure of the library or the server. */
static int32_t
db_failed(struct db *d, unsigned code, const char *text)
{
	d->fail.code = code;
	if (sdk_my_lost(code)) {
		d->fail.lost = true;
		if (db_now_ms(d->pool) >= d->until_ms)
			return db_say(d, PM_TIMEOUT, "no answer in time (%u)", code);
		return db_say(d, PM_DOWN, "the connection broke (%u: %s)", code, text);
	}
	switch (code) {
	case CR_OUT_OF_MEMORY:
		return db_say(d, PM_NOMEM, "no memory");
	case ER_RECORD_FILE_FULL:
	case ER_DISK_FULL:
		return db_say(d, PM_NOSPACE, "the server's disk is full (%u: %s)", code, text);
	case ER_LOCK_DEADLOCK:
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_NEED_REPREPARE:
	case ER_UNKNOWN_STMT_HANDLER:
		d->fail.again = true;
		break;
	case ER_OPTION_PREVENTS_STATEMENT: /* read_only */
	case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
		d->fail.readonly = true;
		break;
	default:
		break;
	}
	return db_say(d, PM_TEMP, "%u: %s", code, text);
}

/* ---- statements ------------------------------------------------------------------------------ */

static int32_t
db_stmt_failed(struct db *d, MYSQL_STMT *s)
{
	MYSQL *my = sdk_my_handle(d->conn);

	/* some versions of the library note a connection that breaks between two rows only there */
	if (mysql_stmt_errno(s) == 0)
		return db_failed(d, mysql_errno(my), mysql_error(my));
	return db_failed(d, mysql_stmt_errno(s), mysql_stmt_error(s));
}

static int32_t
db_prepared(struct db *d, enum db_stmt which, MYSQL_STMT **ret)
{
	MYSQL_STMT *s = d->stmts[which];
	int32_t rc;

	*ret = s;
	if (s)
		return PM_OK;
	s = mysql_stmt_init(sdk_my_handle(d->conn));
	if (!s)
		return db_say(d, PM_NOMEM, "no memory");
	if (mysql_stmt_prepare(s, db_texts[which], strlen(db_texts[which])) != 0) {
		rc = db_stmt_failed(d, s);
		mysql_stmt_close(s);
		return rc;
	}
	*ret = d->stmts[which] = s;
	return PM_OK;
}

/* A statement that the server forgot is prepared again at the next attempt. */
static int32_t
db_forget(struct db *d, enum db_stmt which, int32_t rc)
{
	MYSQL_STMT *s = d->stmts[which];

	if (d->fail.again && s) {
		mysql_stmt_close(s);
		d->stmts[which] = NULL;
	}
	return rc;
}

static MYSQL_BIND
db_bind(const struct db_arg *a)
{
	bool bytes = a->kind == DB_BYTES;
	MYSQL_BIND b = {.buffer_type = bytes                ? MYSQL_TYPE_BLOB
				       : a->kind == DB_NULL ? MYSQL_TYPE_NULL
							    : MYSQL_TYPE_LONGLONG,
			.buffer = (void *)(uintptr_t)(bytes ? a->p : &a->u),
			.buffer_length = a->n,
			.is_unsigned = a->kind == DB_NUMBER};

	return b;
}

int32_t
db_exec(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args)
{
	MYSQL_BIND binds[16];
	MYSQL_STMT *s;
	int32_t rc = db_prepared(d, which, &s);

	if (rc != PM_OK)
		return rc;
	if (mysql_stmt_param_count(s) != n_args || n_args > sizeof(binds) / sizeof(binds[0]))
		return db_say(d, PM_INVALID, "statement %d has %lu parameters", (int)which,
			      mysql_stmt_param_count(s));
	for (size_t k = 0; k < n_args; k++)
		binds[k] = db_bind(&args[k]);
	if ((n_args > 0 && mysql_stmt_bind_param(s, binds) != 0) || mysql_stmt_execute(s) != 0)
		return db_forget(d, which, db_stmt_failed(d, s));
	d->affected = mysql_stmt_affected_rows(s);
	d->insert_id = mysql_stmt_insert_id(s);
	return PM_OK;
}

int32_t
db_select(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
	  struct db_col *cols, size_t n_cols)
{
	MYSQL_BIND binds[DB_COLS_MAX];
	int32_t rc = db_exec(d, which, args, n_args);

	if (rc != PM_OK)
		return rc;
	memset(binds, 0, sizeof(binds));
	for (size_t k = 0; k < n_cols; k++) {
		binds[k].buffer_type = cols[k].p ? MYSQL_TYPE_BLOB : MYSQL_TYPE_LONGLONG;
		binds[k].buffer = cols[k].p ? cols[k].p : &cols[k].u;
		binds[k].buffer_length = cols[k].p ? cols[k].cap : sizeof(cols[k].u);
		binds[k].is_unsigned = !cols[k].is_signed;
		binds[k].length = &d->lengths[k];
		binds[k].is_null = &d->nulls[k];
		binds[k].error = &d->errors[k];
	}
	d->cols = cols;
	d->n_cols = n_cols;
	if (mysql_stmt_field_count(d->stmts[which]) != n_cols)
		return db_say(d, PM_INVALID, "statement %d has %u columns", (int)which,
			      mysql_stmt_field_count(d->stmts[which]));
	return mysql_stmt_bind_result(d->stmts[which], binds) == 0
		       ? PM_OK
		       : db_stmt_failed(d, d->stmts[which]);
}

int32_t
db_next(struct db *d, enum db_stmt which)
{
	int got = mysql_stmt_fetch(d->stmts[which]);

	if (got == MYSQL_NO_DATA)
		return PM_END;
	if (got == MYSQL_DATA_TRUNCATED)
		return db_say(d, PM_CORRUPT, "a value in the database is larger than it may be");
	if (got != 0)
		return db_forget(d, which, db_stmt_failed(d, d->stmts[which]));
	for (size_t k = 0; k < d->n_cols; k++) {
		d->cols[k].null = d->nulls[k];
		d->cols[k].n = d->nulls[k] ? 0 : d->lengths[k];
		if (d->nulls[k])
			d->cols[k].u = 0;
	}
	return PM_OK;
}

void
db_end(struct db *d, enum db_stmt which)
{
	if (d->stmts[which] && !d->fail.lost)
		mysql_stmt_free_result(d->stmts[which]);
}

int32_t
db_row(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
       struct db_col *cols, size_t n_cols)
{
	int32_t rc = db_select(d, which, args, n_args, cols, n_cols);

	if (rc == PM_OK)
		rc = db_next(d, which);
	db_end(d, which);
	return rc;
}

int32_t
db_row_sure(struct db *d, enum db_stmt which, const struct db_arg *args, size_t n_args,
	    struct db_col *cols, size_t n_cols)
{
	int32_t rc = db_row(d, which, args, n_args, cols, n_cols);

	if (rc != PM_END)
		return rc;
	rc = d->pool->settle(d);
	return rc == PM_OK ? db_row(d, which, args, n_args, cols, n_cols) : rc;
}

int32_t
db_text(struct db *d, const char *text, size_t n)
{
	MYSQL *my = sdk_my_handle(d->conn);

	if (mysql_real_query(my, text, n) != 0)
		return db_failed(d, mysql_errno(my), mysql_error(my));
	d->affected = mysql_affected_rows(my);
	return PM_OK;
}

int32_t
db_list(struct db *d, const char *what, const char *where, const uint64_t *values, size_t n,
	const char *and)
{
	size_t cap = strlen(what) + strlen(where) + strlen(and) + n * 21 + 16, at;
	char *text = malloc(cap);
	int32_t rc;

	if (!text)
		return db_say(d, PM_NOMEM, "no memory");
	at = (size_t)snprintf(text, cap, "%s%s IN (", what, where);
	for (size_t k = 0; k < n; k++)
		at += (size_t)snprintf(text + at, cap - at, "%s%llu", k ? "," : "",
				       (unsigned long long)values[k]);
	at += (size_t)snprintf(text + at, cap - at, ")%s", and);
	rc = db_text(d, text, at);
	free(text);
	return rc;
}

/* ---- transactions ---------------------------------------------------------------------------- */

int32_t
db_begin(struct db *d)
{
	int32_t rc = db_text(d, "START TRANSACTION", 17);

	d->in_transaction = rc == PM_OK;
	return rc;
}

int32_t
db_commit(struct db *d)
{
	int32_t rc = db_text(d, "COMMIT", 6);

	d->in_transaction = false;
	/* The server reports conflicts before anything is written. After any other failure the
	 * outcome is unknown, so this connection is not used again. */
	if (rc != PM_OK && d->fail.code != ER_LOCK_DEADLOCK && d->fail.code != ER_LOCK_WAIT_TIMEOUT)
		d->fail.lost = true;
	return rc;
}

int32_t
db_rollback(struct db *d, int32_t rc)
{
	struct db_fail before = d->fail;

	if (d->in_transaction && !before.lost) {
		(void)db_text(d, "ROLLBACK", 8);
		before.lost = before.lost || d->fail.lost;
	}
	d->in_transaction = false;
	d->fail = before;
	return rc;
}

/* ---- connections ----------------------------------------------------------------------------- */

static int64_t
db_sooner(const struct db_pool *p, int64_t deadline_ms, int64_t ms)
{
	int64_t at = db_now_ms(p) + ms;

	return at < deadline_ms ? at : deadline_ms;
}

void
db_close(void *conn)
{
	struct db *d = conn;

	/* a dead connection has no socket, and does not block */
	(void)sdk_my_begin(d->conn, db_now_ms(d->pool) + CLOSE_MS);
	for (int k = 0; k < ST_COUNT; k++)
		if (d->stmts[k])
			mysql_stmt_close(d->stmts[k]);
	sdk_my_close(d->conn);
	free(d);
}

static bool
run_begin(struct db *d, int64_t until_ms)
{
	d->until_ms = until_ms;
	return sdk_my_begin(d->conn, until_ms);
}

/* Gets a connection that has been greeted. */
static int32_t
db_connect_to(void *ctx, size_t server, int64_t until_ms, void **ret, char *why)
{
	struct db_pool *p = ctx;
	struct db *d = calloc(1, sizeof(*d));
	int32_t rc;

	if (!d)
		return PM_NOMEM;
	until_ms = db_sooner(p, until_ms, p->connect_ms);
	d->pool = p;
	rc = sdk_my_connect(&p->access, &p->servers[server], until_ms, &d->conn, why, SDK_WHY_MAX);
	if (rc != PM_OK) {
		free(d);
		return rc;
	}
	rc = run_begin(d, until_ms) ? p->greet(d) : db_say(d, PM_NOMEM, "no file descriptor left");
	if (!sdk_my_end(d->conn) && rc == PM_OK)
		rc = db_say(d, PM_TIMEOUT, "too slow");
	if (rc != PM_OK) {
		snprintf(why, SDK_WHY_MAX, "%s: %.150s", p->servers[server].label, d->fail.text);
		db_close(d);
		return rc;
	}
	*ret = d;
	return PM_OK;
}

void
db_revive(struct db_pool *p, int64_t deadline_ms)
{
	if (p->n_servers > 1)
		sdk_pool_revive(p->places, db_sooner(p, deadline_ms, REVIVE_MS), db_connect_to, p);
}

/* ---- work ------------------------------------------------------------------------------------ */

static int32_t
db_attempt(struct db *d, int64_t until_ms, db_work *work, void *arg)
{
	const struct db_pool *p = d->pool;
	int32_t rc;

	memset(&d->fail, 0, sizeof(d->fail));
	if (!run_begin(d, until_ms))
		return db_say(d, PM_NOMEM, "no memory, or no file descriptor left");
	rc = p->before ? p->before(d) : PM_OK;
	if (rc == PM_OK)
		rc = work(d, arg);
	if (d->in_transaction)
		(void)db_rollback(d, rc);
	if (!sdk_my_end(d->conn))
		d->fail.lost =
			true; /* the socket may have been shut down although the answer had come */
	return rc;
}

/* One call, and the history of its work. */
struct journey {
	struct db_pool *pool;
	struct sdk_place *at;
	const struct pm_call *call;
	int64_t most_ms;   /* time for one attempt */
	uint32_t readonly; /* servers that take no writes */
	unsigned lost, conflicts;
};

static bool
db_over(const struct journey *j)
{
	return db_now_ms(j->pool) >= j->call->deadline_ms;
}

/* True if another try is worthwhile after a failure. */
static bool
db_try_again(struct journey *j, int32_t rc, const struct db_fail *f)
{
	if (rc == PM_TIMEOUT && f->lost)
		sdk_pool_note(j->pool->places, j->at->server, true, f->text);
	if (f->lost || f->readonly)
		sdk_place_close(j->pool->places, j->at);
	if (db_over(j))
		return false;
	if (f->readonly) {
		j->readonly |= 1u << j->at->server;
		return j->readonly != (1u << j->pool->n_servers) - 1;
	}
	if (f->lost)
		return ++j->lost < LOST_ATTEMPTS;
	return f->again && ++j->conflicts < ATTEMPTS;
}

static bool
db_repeat(struct journey *j, int32_t rc, const struct db_fail *f)
{
	bool again = db_try_again(j, rc, f);

	if (again)
		sdk_count(j->pool->host,
			  f->readonly ? "repeated_readonly"
			  : f->lost   ? "repeated_lost"
				      : "repeated_conflict",
			  1);
	return again;
}

static int32_t
db_run(struct journey *j, db_work *work, void *arg, struct db_fail *ret)
{
	struct sdk_pool *places = j->pool->places;
	int32_t rc;

	if (j->at->conn && sdk_my_stale(((struct db *)j->at->conn)->conn))
		sdk_place_close(places, j->at);
	do {
		memset(ret, 0, sizeof(*ret));
		rc = j->at->conn
			     ? PM_OK
			     : sdk_pool_connect(places, j->at, j->readonly, j->call->deadline_ms,
						db_connect_to, j->pool, ret->text);
		if (rc != PM_OK) {
			ret->rc = rc;
			break;
		}
		rc = db_attempt(j->at->conn, db_sooner(j->pool, j->call->deadline_ms, j->most_ms),
				work, arg);
		*ret = ((struct db *)j->at->conn)->fail;
	} while (rc < 0 && ret->rc != PM_OK && db_repeat(j, rc, ret));
	if (ret->lost || j->readonly)
		sdk_place_close(places,
				j->at); /* the next attempt begins with the first server again */
	return rc;
}

int32_t
db_do(struct db_pool *p, const struct pm_call *call, int64_t more_ms, db_work *work, void *arg)
{
	int64_t left = sdk_left_ms(p->host, call) - RESERVE_MS;
	struct journey j = {.pool = p, .call = call, .most_ms = p->query_ms + more_ms};
	struct db_fail f;
	int32_t rc;

	if (db_over(&j)) {
		sdk_error(call, "no time left");
		return PM_TIMEOUT;
	}
	if (more_ms > 0 && j.most_ms > left)
		j.most_ms = left > p->query_ms ? left : p->query_ms;
	j.at = sdk_pool_take(p->places);
	if (!j.at) {
		sdk_error(call, "more calls at once than permits");
		return PM_TEMP;
	}
	rc = db_run(&j, work, arg, &f);
	if (rc < 0 && f.rc != PM_OK)
		sdk_error(call, "%s", f.text);
	sdk_pool_give(p->places, j.at);
	return rc;
}
