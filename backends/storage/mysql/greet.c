/* SPDX-License-Identifier: Apache-2.0 */
#include "greet.h"

#include <mysql.h>
#include <mysqld_error.h>
#include <string.h>

#include "db.h"
#include "fit.h"
#include "schema.h"
#include "store.h"

/* Times are UTC whatever the server's zone; values that do not fit are errors; a deletion reads no
 * more locks than rows; a lock that does not come within 5 s is a conflict. */
static const char hello[] =
	"SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
	" autocommit = 1, innodb_lock_wait_timeout = 5";
static const char isolation[] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

static const char variables[] = "SHOW VARIABLES LIKE 'group\\_replication\\_%'";

static int32_t
unfit(struct db *d, const char *why)
{
	if (!why)
		return PM_OK;
	d->fail.lost = true;
	return db_say(d, PM_DOWN, "%s", why);
}

/* ---- one server ------------------------------------------------------------------------------ */

static int32_t
look_end(struct db *d, enum db_stmt which, struct fit_end *ret)
{
	struct db_col cols[3] = {[1] = {.p = ret->server, .cap = sizeof(ret->server) - 1}};
	int32_t rc;

	memset(ret, 0, sizeof(*ret));
	rc = db_row(d, which, NULL, 0, cols, 3);
	ret->connection = (uint64_t)cols[0].u;
	ret->readonly = cols[2].u != 0;
	return rc;
}

int32_t
greet_look(struct db *d)
{
	struct fit_end before, within = {0}, after;
	const char *why;
	int32_t rc = look_end(d, ST_END, &before);

	if (rc == PM_OK)
		rc = db_begin(d);
	if (rc == PM_OK)
		rc = look_end(d, ST_END_LOCKED, &within);
	/* some servers that take no writes refuse that read, too */
	if (rc != PM_OK && d->fail.readonly && before.readonly)
		return unfit(d, fit_ends(&before, &before));
	if (rc != PM_OK)
		return db_rollback(d, rc);
	rc = db_commit(d);
	/* a proxy that deals reads out may have met the same server by chance */
	if (rc == PM_OK)
		rc = look_end(d, ST_END, &after);
	if (rc != PM_OK)
		return rc;
	why = fit_ends(&before, &within);
	return unfit(d, why ? why : fit_ends(&after, &within));
}

/* ---- a group --------------------------------------------------------------------------------- */

static int32_t
look_group(struct db *d)
{
	MYSQL *my = sdk_my_handle(d->conn);
	struct fit_group g = {0};
	MYSQL_RES *rows;
	MYSQL_ROW row;
	int32_t rc = db_text(d, variables, sizeof(variables) - 1);

	if (rc != PM_OK)
		return rc;
	rows = mysql_store_result(my);
	if (!rows) {
		d->fail.lost = true;
		return db_say(d, PM_DOWN, "%u: %s", mysql_errno(my), mysql_error(my));
	}
	while ((row = mysql_fetch_row(rows)) != NULL)
		fit_note(&g, row[0] ? row[0] : "", row[1] ? row[1] : "");
	mysql_free_result(rows);
	return unfit(d, fit_group(&g));
}

/* ---- a new connection ------------------------------------------------------------------------ */

/* On a cluster a node may not have applied yet the commits of another: reads wait for them, and
 * fail when that takes too long. This is set whatever state the node reports just now; a server
 * that is not in a cluster does not know the variable, or ignores it. */
int32_t
greet(struct db *d)
{
	const struct inst *i = d->pool->ctx;
	static const char sync[] = "SET SESSION wsrep_sync_wait = 1";
	int32_t rc = db_text(d, hello, sizeof(hello) - 1);

	if (rc == PM_OK)
		rc = db_text(d, isolation, sizeof(isolation) - 1);
	if (rc == PM_OK)
		rc = db_text(d, sync, sizeof(sync) - 1);
	if (rc != PM_OK && d->fail.code == ER_UNKNOWN_SYSTEM_VARIABLE) {
		memset(&d->fail, 0, sizeof(d->fail));
		rc = PM_OK;
	}
	if (rc == PM_OK)
		rc = look_group(d);
	if (rc == PM_OK && !i->any_schema)
		rc = schema_check(d);
	return rc == PM_OK && !i->any_schema ? greet_look(d) : rc;
}
