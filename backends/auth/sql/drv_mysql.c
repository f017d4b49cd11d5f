/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL and MariaDB by MariaDB Connector/C. The library's own time-outs are whole seconds and count per read();
 * its hook for waiting (MARIADB_OPT_IO_WAIT) is passed by under TLS, handshake included (measured, 3.3.20). So a
 * thread ends the socket when the time is over; the hook tells which socket that is while a connection is made.
 * Name resolution is not covered: addresses, or a resolver on this machine.
 *
 * TLS: SSL_ENFORCE alone, and with a CA too, falls back to plain text when the server has no TLS; only together
 * with SSL_VERIFY_SERVER_CERT it does not (measured, Connector/C 3.3.20). The cipher is looked at besides.
 */
#include <errno.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <errmsg.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "watch.h"

#define CLOSE_MS 100
#define COLUMNS_MAX 64

struct sql_conn {
	MYSQL *my;
	MYSQL_STMT *stmts[Q_COUNT];
	const struct pm_host *host;
	struct watch *watch;
	bool connected;
	bool password; /* what runs carries a hash: the server's text is not repeated */
};

/* The hook has no argument of ours: what this thread is at, and until when. */
static _Thread_local struct {
	struct sql_until until;
	struct watch *watch;
	struct watched *socket; /* of the connection in the making */
	bool connecting;
} now;

static int
io_wait(my_socket fd, my_bool is_read, int timeout)
{
	struct pollfd p = {.fd = fd, .events = is_read ? POLLIN : POLLOUT};
	int rc;

	(void)timeout;
	if (now.connecting && !now.socket && !(now.socket = watch_begin(now.watch, fd, now.until.ms))) {
		errno = ENOMEM;
		return -1;
	}
	do
		rc = poll(&p, 1, (int)sql_left_ms(now.until));
	while (rc == -1 && errno == EINTR && sql_left_ms(now.until) > 0);
	if (rc == 0)
		errno = ETIMEDOUT;
	return rc;
}

static int32_t
global_init(void)
{
	return mysql_library_init(0, NULL, NULL) == 0 ? PM_OK : PM_TEMP;
}

/* ---- failures -------------------------------------------------------------------------------- */

static int32_t
failed(struct sql_conn *c, unsigned code, const char *text, struct sql_fail *f)
{
	if (c->password)
		text = "the text of the server is left out: it may repeat a hash";
	switch (code) {
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_SSL_CONNECTION_ERROR:
	case CR_COMMANDS_OUT_OF_SYNC:
	case CR_MALFORMED_PACKET:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_UNKNOWN_COM_ERROR: /* a Galera node that is not part of its cluster */
	case ER_NEW_ABORTING_CONNECTION:
		f->lost = true;
		if (sql_left_ms(now.until) == 0)
			return sql_failed(f, PM_TIMEOUT, "no answer in time (%u)", code);
		return sql_failed(f, PM_DOWN, "the connection broke (%u: %s)", code, text);
	case CR_OUT_OF_MEMORY:
		return sql_failed(f, PM_NOMEM, "no memory");
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
	default:
		break;
	}
	return sql_failed(f, PM_TEMP, "%u: %s", code, text);
}

/* Why nobody lets us in, and what to look at. */
static int32_t
connect_failed(MYSQL *my, const struct sql_server *s, struct sql_fail *f)
{
	unsigned code = mysql_errno(my);
	const char *text = mysql_error(my), *hint = "";

	f->lost = true;
	if (sql_left_ms(now.until) == 0)
		return sql_failed(f, PM_TIMEOUT, "%s: accepted no connection in time", s->label);
	if (code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR || code == ER_BAD_DB_ERROR)
		hint = "; see user, password, database";
	else if (code == CR_SSL_CONNECTION_ERROR)
		hint = "; see tls, tls_ca";
	return sql_failed(f, PM_DOWN, "%s: %u: %.120s%s", s->label, code, text, hint);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void
set_options(MYSQL *my, const struct sql_access *a, const struct sql_server *s)
{
	unsigned seconds = (unsigned)(sql_left_ms(now.until) / 1000) + 2, off = 0;
	size_t packet = SQL_RESULT_BYTES;
	my_bool yes = 1;

	mysql_optionsv(my, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_optionsv(my, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_optionsv(my, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	mysql_optionsv(my, MARIADB_OPT_IO_WAIT, io_wait);
	mysql_optionsv(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(my, MYSQL_OPT_LOCAL_INFILE, &off); /* a server must not ask for our files */
	mysql_optionsv(my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	if (a->tls && !s->local) {
		mysql_optionsv(my, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_optionsv(my, MYSQL_OPT_SSL_CA, a->tls_ca);
		mysql_optionsv(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
}

static void
close_my(struct sql_conn *c)
{
	struct watched *socket = NULL;

	now.until.ms = c->host->now_ms(c->host->ctx) + CLOSE_MS;
	now.until.host = c->host;
	if (c->connected)
		socket = watch_begin(c->watch, mysql_get_socket(c->my), now.until.ms);
	for (int k = 0; k < Q_COUNT; k++)
		if (c->stmts[k])
			mysql_stmt_close(c->stmts[k]);
	if (c->my)
		mysql_close(c->my);
	watch_end(c->watch, socket);
	free(c);
}

static int32_t
connect_my(const struct sql_access *a, const struct sql_server *s, struct sql_until until, struct sql_conn **ret,
	   struct sql_fail *f)
{
	struct sql_conn *c = calloc(1, sizeof(*c));
	int32_t rc = PM_OK;

	if (!c || !(c->my = mysql_init(NULL))) {
		free(c);
		return sql_failed(f, PM_NOMEM, "no memory");
	}
	c->host = until.host;
	c->watch = a->watch;
	now.until = until;
	now.watch = a->watch;
	now.connecting = true;
	set_options(c->my, a, s);
	c->connected = mysql_real_connect(c->my, s->local ? NULL : s->host, a->user, a->password, a->database, s->port,
					  s->local ? s->host : NULL, 0) != NULL;
	now.connecting = false;
	watch_end(a->watch, now.socket);
	now.socket = NULL;
	if (!c->connected)
		rc = connect_failed(c->my, s, f);
	else if (a->tls && !s->local && !mysql_get_ssl_cipher(c->my))
		rc = sql_failed(f, PM_DOWN, "%s: the connection is not encrypted; see tls", s->label);
	if (rc == PM_OK)
		*ret = c;
	else
		close_my(c);
	return rc;
}

/* An idle connection has nothing to read: what is there is its end, or an answer that came too late. */
static bool
stale_my(struct sql_conn *c)
{
	struct pollfd p = {.fd = mysql_get_socket(c->my), .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

/* ---- statements ------------------------------------------------------------------------------ */

static int32_t
stmt_failed(struct sql_conn *c, MYSQL_STMT *s, struct sql_fail *f)
{
	return failed(c, mysql_stmt_errno(s), mysql_stmt_error(s), f);
}

static int32_t
prepare(struct sql_conn *c, const struct sql_query *q, MYSQL_STMT **ret, struct sql_fail *f)
{
	MYSQL_STMT *s = c->stmts[q->which];
	my_bool yes = 1;
	int32_t rc;

	*ret = s;
	if (s)
		return PM_OK;
	s = mysql_stmt_init(c->my);
	if (!s)
		return sql_failed(f, PM_NOMEM, "no memory");
	mysql_stmt_attr_set(s, STMT_ATTR_UPDATE_MAX_LENGTH, &yes);
	if (mysql_stmt_prepare(s, q->text, strlen(q->text)) != 0) {
		rc = stmt_failed(c, s, f);
		mysql_stmt_close(s);
		return rc;
	}
	*ret = c->stmts[q->which] = s;
	if (mysql_stmt_param_count(s) != q->n_places)
		return sql_failed(f, PM_TEMP, "the server counts %lu parameters instead of %zu", mysql_stmt_param_count(s),
				  q->n_places);
	return PM_OK;
}

static int32_t
execute(struct sql_conn *c, MYSQL_STMT *s, const struct sql_query *q, const struct pm_str *args, struct sql_fail *f)
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
		return stmt_failed(c, s, f);
	return PM_OK;
}

/* Each cell as text, in one buffer of the longest row. */
static int32_t
fetch_rows(struct sql_conn *c, MYSQL_STMT *s, const MYSQL_RES *meta, struct sql_result *r, struct sql_fail *f)
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
		return sql_failed(f, PM_TEMP, "a row is larger than %u bytes", SQL_RESULT_BYTES);
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
			sql_result_cell(r, nulls[k] ? NULL : binds[k].buffer, nulls[k] ? 0 : lengths[k]);
	explicit_bzero(row, total);
	free(row);
	if (got == MYSQL_DATA_TRUNCATED)
		return sql_failed(f, PM_TEMP, "a column came longer than announced");
	return got == MYSQL_NO_DATA ? PM_OK : stmt_failed(c, s, f);
}

static int32_t
fetch(struct sql_conn *c, MYSQL_STMT *s, struct sql_result *r, struct sql_fail *f)
{
	MYSQL_RES *meta;
	int32_t rc;

	r->affected = mysql_stmt_affected_rows(s);
	if (mysql_stmt_field_count(s) == 0)
		return PM_OK;
	if (mysql_stmt_store_result(s) != 0)
		return stmt_failed(c, s, f);
	meta = mysql_stmt_result_metadata(s);
	if (!meta)
		return stmt_failed(c, s, f);
	for (unsigned k = 0; k < meta->field_count && k < COLUMNS_MAX; k++)
		sql_result_name(r, meta->fields[k].name);
	rc = meta->field_count <= COLUMNS_MAX ? fetch_rows(c, s, meta, r, f)
					      : sql_failed(f, PM_TEMP, "more than %d columns", COLUMNS_MAX);
	mysql_free_result(meta);
	return rc;
}

static int32_t
run_my(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args, struct sql_until until,
       struct sql_result *r, struct sql_fail *f)
{
	struct watched *socket = watch_begin(c->watch, mysql_get_socket(c->my), until.ms);
	MYSQL_STMT *s = NULL;
	int32_t rc;

	now.until = until;
	if (!socket)
		return sql_failed(f, PM_NOMEM, "no memory, or no file descriptor left");
	c->password = q->which == Q_SET_PASSWORD;
	rc = prepare(c, q, &s, f);
	if (rc == PM_OK)
		rc = execute(c, s, q, args, f);
	if (rc == PM_OK)
		rc = fetch(c, s, r, f);
	if (rc == PM_OK && !sql_result_end(r))
		rc = sql_failed(f, PM_TEMP, "the result is larger than %u bytes", SQL_RESULT_BYTES);
	if (s && !f->lost) {
		mysql_stmt_free_result(s);
		if (mysql_stmt_more_results(s))
			f->lost = true; /* a procedure's second result: not ours, and nobody else's either */
	}
	if (f->again && s) { /* what was forgotten is prepared again */
		mysql_stmt_close(s);
		c->stmts[q->which] = NULL;
	}
	watch_end(c->watch, socket);
	if (sql_left_ms(until) == 0)
		f->lost = true; /* the socket may have been ended although the answer had come */
	return rc;
}

const struct sql_driver sql_mysql = {
	.name = "mysql", .dialect = SQL_MYSQL, .network = true, .watched = true, .port = 3306,
	.global_init = global_init,
	.connect = connect_my, .close = close_my, .stale = stale_my, .run = run_my,
};
