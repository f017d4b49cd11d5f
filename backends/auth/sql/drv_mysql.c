/* SPDX-License-Identifier: Apache-2.0 */
/* MySQL and MariaDB: prepared statements on connections of sdk/mariadb.h. */
#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "drivers.h"
#include "mariadb.h"
#include "query.h"
#include "result.h"

#define CLOSE_MS 100
#define COLUMNS_MAX 64
#define CANNOT_CONVERT_STRING 3988 /* MySQL 8's; MariaDB's headers have no name for it */

struct sql_conn {
	struct sdk_my *link;
	MYSQL_STMT *stmts[Q_COUNT];
	struct sql_until until; /* of the statement that runs */
	/* the statement carries a hash, so the server's text is not repeated */
	bool password;
};

/* ---- failures -------------------------------------------------------------------------------- */

static int32_t
drv_mysql_failed(struct sql_conn *c, unsigned code, const char *text, struct sql_fail *f)
{
	if (c->password)
		text = "the text of the server is left out: it may repeat a hash";
	if (sdk_my_lost(code)) {
		f->lost = true;
		if (driver_left_ms(c->until) == 0)
			return driver_failed(f, PM_TIMEOUT, "no answer in time (%u)", code);
		return driver_failed(f, PM_DOWN, "the connection broke (%u: %s)", code, text);
	}
	switch (code) {
	case CR_OUT_OF_MEMORY:
		return driver_failed(f, PM_NOMEM, "no memory");
	case ER_LOCK_DEADLOCK:
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_NEED_REPREPARE:
	case ER_UNKNOWN_STMT_HANDLER:
		f->again = true;
		break;
	case ER_OPTION_PREVENTS_STATEMENT: /* read_only */
	case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
		f->readonly = true;
		break;
	case ER_CANT_AGGREGATE_2COLLATIONS:
	case ER_CANT_AGGREGATE_3COLLATIONS:
	case ER_CANT_AGGREGATE_NCOLLATIONS:
	case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
	case CANNOT_CONVERT_STRING:
		f->foreign = true;
		break;
	default:
		break;
	}
	return driver_failed(f, PM_TEMP, "%u: %s", code, text);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void
close_my(void *conn)
{
	struct sql_conn *c = conn;
	const struct pm_host *host = c->until.host;

	/* fails when the library closed its socket */
	(void)sdk_my_begin(c->link, host->now_ms(host->ctx) + CLOSE_MS);
	for (int k = 0; k < Q_COUNT; k++)
		if (c->stmts[k])
			mysql_stmt_close(c->stmts[k]);
	sdk_my_close(c->link);
	free(c);
}

static int32_t
connect_my(const struct sql_access *a, const struct sdk_server *s, struct sql_until until,
	   struct sql_conn **ret, struct sql_fail *f)
{
	const struct sdk_my_access mine = {.host = until.host,
					   .watch = a->watch,
					   .database = a->database,
					   .user = a->user,
					   .password = a->password,
					   .tls = a->tls,
					   .tls_ca = a->tls_ca,
					   .packet_max = SQL_RESULT_BYTES};
	struct sql_conn *c = calloc(1, sizeof(*c));
	int32_t rc;

	if (!c)
		return driver_failed(f, PM_NOMEM, "no memory");
	c->until = until;
	rc = sdk_my_connect(&mine, s, until.ms, &c->link, f->text, sizeof(f->text));
	if (rc == PM_OK)
		*ret = c;
	else
		free(c);
	return rc;
}

static bool
stale_my(struct sql_conn *c)
{
	return sdk_my_stale(c->link);
}

/* ---- statements ------------------------------------------------------------------------------ */

static int32_t
drv_mysql_stmt_failed(struct sql_conn *c, MYSQL_STMT *s, struct sql_fail *f)
{
	return drv_mysql_failed(c, mysql_stmt_errno(s), mysql_stmt_error(s), f);
}

static int32_t
drv_mysql_prepare(struct sql_conn *c, const struct sql_query *q, MYSQL_STMT **ret,
		  struct sql_fail *f)
{
	MYSQL_STMT *s = c->stmts[q->which];
	my_bool yes = 1;
	int32_t rc;

	*ret = s;
	if (s)
		return PM_OK;
	s = mysql_stmt_init(sdk_my_handle(c->link));
	if (!s)
		return driver_failed(f, PM_NOMEM, "no memory");
	mysql_stmt_attr_set(s, STMT_ATTR_UPDATE_MAX_LENGTH, &yes);
	if (mysql_stmt_prepare(s, q->text, strlen(q->text)) != 0) {
		rc = drv_mysql_stmt_failed(c, s, f);
		f->foreign = false; /* no value is known yet: it is the statement */
		mysql_stmt_close(s);
		return rc;
	}
	*ret = c->stmts[q->which] = s;
	if (mysql_stmt_param_count(s) != q->n_places)
		return driver_failed(f, PM_TEMP, "the server counts %lu parameters instead of %zu",
				     mysql_stmt_param_count(s), q->n_places);
	return PM_OK;
}

static int32_t
drv_mysql_execute(struct sql_conn *c, MYSQL_STMT *s, const struct sql_query *q,
		  const struct pm_str *args, struct sql_fail *f)
{
	MYSQL_BIND binds[SQL_PLACES_MAX];

	memset(binds, 0, sizeof(binds));
	for (size_t k = 0; k < q->n_places; k++) {
		struct pm_str a = args[q->place[k]];

		binds[k].buffer_type = a.p ? MYSQL_TYPE_STRING : MYSQL_TYPE_NULL;
		binds[k].buffer = (void *)(uintptr_t)a.p;
		binds[k].buffer_length = a.n;
	}
	if ((q->n_places > 0 && mysql_stmt_bind_param(s, binds) != 0) || mysql_stmt_execute(s) != 0)
		return drv_mysql_stmt_failed(c, s, f);
	return PM_OK;
}

/* Each cell as text, in one buffer of the longest row. */
static int32_t
fetch_rows(struct sql_conn *c, MYSQL_STMT *s, const MYSQL_RES *meta, struct sql_result *r,
	   struct sql_fail *f)
{
	MYSQL_BIND binds[COLUMNS_MAX];
	unsigned long lengths[COLUMNS_MAX];
	my_bool nulls[COLUMNS_MAX];
	unsigned n = meta->field_count;
	size_t total = 1, at = 0;
	char *row;
	int got;

	memset(binds, 0, sizeof(binds));
	for (unsigned k = 0; k < n; k++)
		total += meta->fields[k].max_length + 1;
	row = total <= SQL_RESULT_BYTES ? malloc(total) : NULL;
	if (!row)
		return driver_failed(f, PM_TEMP, "a row is larger than %u bytes", SQL_RESULT_BYTES);
	for (unsigned k = 0; k < n; k++) {
		binds[k].buffer_type = MYSQL_TYPE_STRING;
		binds[k].buffer = row + at;
		binds[k].buffer_length = meta->fields[k].max_length + 1;
		binds[k].length = &lengths[k];
		binds[k].is_null = &nulls[k];
		at += meta->fields[k].max_length + 1;
	}
	got = mysql_stmt_bind_result(s, binds) == 0 ? 0 : 1;
	while (got == 0 && (got = mysql_stmt_fetch(s)) == 0)
		for (unsigned k = 0; k < n; k++)
			result_cell(r, nulls[k] ? NULL : binds[k].buffer,
				    nulls[k] ? 0 : lengths[k]);
	explicit_bzero(row, total);
	free(row);
	if (got == MYSQL_DATA_TRUNCATED)
		return driver_failed(f, PM_TEMP, "a column came longer than announced");
	return got == MYSQL_NO_DATA ? PM_OK : drv_mysql_stmt_failed(c, s, f);
}

static int32_t
drv_mysql_fetch(struct sql_conn *c, MYSQL_STMT *s, struct sql_result *r, struct sql_fail *f)
{
	MYSQL_RES *meta;
	int32_t rc;

	r->affected = mysql_stmt_affected_rows(s);
	if (mysql_stmt_field_count(s) == 0)
		return PM_OK;
	if (mysql_stmt_store_result(s) != 0)
		return drv_mysql_stmt_failed(c, s, f);
	meta = mysql_stmt_result_metadata(s);
	if (!meta)
		return drv_mysql_stmt_failed(c, s, f);
	for (unsigned k = 0; k < meta->field_count && k < COLUMNS_MAX; k++)
		result_name(r, meta->fields[k].name);
	rc = meta->field_count <= COLUMNS_MAX
		     ? fetch_rows(c, s, meta, r, f)
		     : driver_failed(f, PM_TEMP, "more than %d columns", COLUMNS_MAX);
	mysql_free_result(meta);
	return rc;
}

static int32_t
run_my(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
       struct sql_until until, struct sql_result *r, struct sql_fail *f)
{
	MYSQL_STMT *s = NULL;
	int32_t rc;

	c->until = until;
	if (!sdk_my_begin(c->link, until.ms))
		return driver_failed(f, PM_NOMEM, "no memory, or no file descriptor left");
	c->password = q->which == Q_SET_PASSWORD;
	rc = drv_mysql_prepare(c, q, &s, f);
	if (rc == PM_OK)
		rc = drv_mysql_execute(c, s, q, args, f);
	if (rc == PM_OK)
		rc = drv_mysql_fetch(c, s, r, f);
	if (rc == PM_OK && !result_end(r))
		rc = driver_failed(f, PM_TEMP, "the result is larger than %u bytes",
				   SQL_RESULT_BYTES);
	if (s && !f->lost) {
		mysql_stmt_free_result(s);
		if (mysql_stmt_more_results(s))
			/* the second result of a procedure is ignored */
			f->lost = true;
	}
	if (f->again && s) { /* a forgotten statement is prepared again */
		mysql_stmt_close(s);
		c->stmts[q->which] = NULL;
	}
	if (!sdk_my_end(c->link))
		f->lost = true;
	return rc;
}

const struct sql_driver sql_mysql = {
	.name = "mysql",
	.dialect = SQL_MYSQL,
	.network = true,
	.watched = true,
	.port = 3306,
	.global_init = sdk_my_global_init,
	.connect = connect_my,
	.close = close_my,
	.stale = stale_my,
	.run = run_my,
};
