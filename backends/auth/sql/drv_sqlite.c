/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite: a file, no server. Deadlines: the progress handler ends a long statement, the busy
 * handler waits for a lock no longer than that. A file that was replaced is opened again: SQLite
 * would read the old one for ever.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "driver.h"
#include "drivers.h"
#include "query.h"
#include "result.h"

#define STEPS 4000 /* virtual machine instructions between two looks at the clock */
#define NAP_MS 5

struct sql_conn {
	sqlite3 *db;
	sqlite3_stmt *stmts[Q_COUNT];
	char *path;
	struct stat seen;
	struct sql_until until; /* of the statement that runs */
};

static int
on_progress(void *arg)
{
	const struct sql_conn *c = arg;

	return driver_left_ms(c->until) == 0;
}

static int
on_busy(void *arg, int times)
{
	const struct sql_conn *c = arg;
	const struct timespec nap = {0, NAP_MS * 1000000};

	(void)times;
	if (driver_left_ms(c->until) <= NAP_MS)
		return 0;
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	return 1;
}

/* Failures of the whole file, of this statement, of its time. */
static int32_t
drv_sqlite_failed(struct sql_conn *c, struct sql_fail *f, const char *path)
{
	int code = c->db ? sqlite3_errcode(c->db) : SQLITE_NOMEM;
	const char *text = c->db ? sqlite3_errmsg(c->db) : "no memory";

	switch (code) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
		return driver_failed(f, PM_TIMEOUT,
				     "'%s': %s, and the time is over; who holds the lock?", path,
				     text);
	case SQLITE_NOMEM:
		return driver_failed(f, PM_NOMEM, "'%s': no memory", path);
	case SQLITE_READONLY:
		f->readonly = true;
		return driver_failed(
			f, PM_TEMP,
			"'%s': %s; the server's user must be able to write it and its directory",
			path, text);
	case SQLITE_CANTOPEN:
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_IOERR:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		f->lost = true;
		return driver_failed(f, PM_DOWN, "'%s': %s", path, text);
	default:
		return driver_failed(f, PM_TEMP, "'%s': %s", path, text);
	}
}

static void
close_db(void *conn)
{
	struct sql_conn *c = conn;

	for (int k = 0; k < Q_COUNT; k++)
		(void)sqlite3_finalize(c->stmts[k]);
	(void)sqlite3_close_v2(c->db);
	free(c->path);
	free(c);
}

static int32_t
connect_db(const struct sql_access *a, const struct sdk_server *s, struct sql_until until,
	   struct sql_conn **ret, struct sql_fail *f)
{
	struct sql_conn *c = calloc(1, sizeof(*c));
	int32_t rc;

	(void)s;
	if (!c || !(c->path = strdup(a->database))) {
		free(c);
		return driver_failed(f, PM_NOMEM, "no memory");
	}
	c->until = until;
	/* without the write permission SQLite falls back to reading; without the file it must
	 * not make one */
	if (stat(c->path, &c->seen) != 0 ||
	    sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		    SQLITE_OK) {
		rc = c->db ? drv_sqlite_failed(c, f, a->database)
			   : driver_failed(f, PM_DOWN,
					   "'%s' cannot be opened: is it there, and readable?",
					   a->database);
		close_db(c);
		return rc == PM_TEMP ? PM_DOWN : rc;
	}
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_progress_handler(c->db, STEPS, on_progress, c);
	sqlite3_busy_handler(c->db, on_busy, c);
	*ret = c;
	return PM_OK;
}

static bool
stale_db(struct sql_conn *c)
{
	struct stat now;

	return stat(c->path, &now) != 0 || now.st_dev != c->seen.st_dev ||
	       now.st_ino != c->seen.st_ino;
}

static int32_t
drv_sqlite_prepare(struct sql_conn *c, const struct sql_query *q, struct sql_fail *f)
{
	sqlite3_stmt **s = &c->stmts[q->which];

	if (!*s &&
	    sqlite3_prepare_v3(c->db, q->text, -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK)
		return drv_sqlite_failed(c, f, c->path);
	return PM_OK;
}

static int32_t
drv_sqlite_bind(struct sql_conn *c, sqlite3_stmt *s, const struct sql_query *q,
		const struct pm_str *args, struct sql_fail *f)
{
	for (size_t k = 0; k < q->n_places; k++) {
		struct pm_str a = args[q->place[k]];
		int rc = a.p ? sqlite3_bind_text(s, (int)k + 1, a.p, (int)a.n, SQLITE_STATIC)
			     : sqlite3_bind_null(s, (int)k + 1);

		if (rc != SQLITE_OK)
			return drv_sqlite_failed(c, f, c->path);
	}
	return PM_OK;
}

static int32_t
drv_sqlite_fetch(struct sql_conn *c, sqlite3_stmt *s, struct sql_result *r, struct sql_fail *f)
{
	int n = sqlite3_column_count(s), rc;

	for (int k = 0; k < n; k++)
		result_name(r, sqlite3_column_name(s, k));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW && !r->failed)
		for (int k = 0; k < n; k++) {
			const char *p = (const char *)sqlite3_column_text(s, k);

			result_cell(r, p, (size_t)sqlite3_column_bytes(s, k));
		}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return drv_sqlite_failed(c, f, c->path);
	r->affected = (uint64_t)sqlite3_changes(c->db);
	return result_end(r) ? PM_OK
			     : driver_failed(f, PM_TEMP, "the result is larger than %u bytes",
					     SQL_RESULT_BYTES);
}

static int32_t
run_db(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
       struct sql_until until, struct sql_result *r, struct sql_fail *f)
{
	int32_t rc;

	c->until = until;
	rc = drv_sqlite_prepare(c, q, f);
	if (rc == PM_OK)
		rc = drv_sqlite_bind(c, c->stmts[q->which], q, args, f);
	if (rc == PM_OK)
		rc = drv_sqlite_fetch(c, c->stmts[q->which], r, f);
	if (c->stmts[q->which]) {
		(void)sqlite3_reset(c->stmts[q->which]);
		(void)sqlite3_clear_bindings(c->stmts[q->which]);
	}
	return rc;
}

const struct sql_driver sql_sqlite = {
	.name = "sqlite",
	.dialect = SQL_SQLITE,
	.connect = connect_db,
	.close = close_db,
	.stale = stale_db,
	.run = run_db,
};
