/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL by libpq's non-blocking calls and poll: every wait ends with the deadline. Name
 * resolution is not covered: addresses, or a resolver on this machine. sslmode=verify-full never
 * falls back to plain text.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "drivers.h"
#include "query.h"
#include "result.h"

#define NOWHERE "/dev/null/none"

struct sql_conn {
	PGconn *pg;
	bool prepared[Q_COUNT];
	bool password; /* the statement carries a hash, so the server's text is not repeated */
};

/* > 0: ready; 0: the time is over. */
static int
wait_for(PGconn *pg, short events, struct sql_until until)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = events};
	int rc;

	do
		rc = poll(&p, 1, (int)driver_left_ms(until));
	while (rc == -1 && errno == EINTR);
	return rc;
}

/* Notices go nowhere: libpq would print them (R8). */
static void
no_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

/* ---- failures -------------------------------------------------------------------------------- */

static int32_t
drv_pgsql_late(struct sql_fail *f, const char *what)
{
	f->lost = true;
	return driver_failed(f, PM_TIMEOUT, "%s in time", what);
}

static int32_t
drv_pgsql_broken(struct sql_conn *c, struct sql_fail *f)
{
	f->lost = true;
	return driver_failed(f, PM_DOWN, "the connection broke: %.150s", PQerrorMessage(c->pg));
}

static bool
one_of(const char *state, const char *list)
{
	return strlen(state) == 5 && strstr(list, state);
}

/* By SQLSTATE (PostgreSQL manual, appendix A). */
static int32_t
drv_pgsql_refused(struct sql_conn *c, const PGresult *res, struct sql_fail *f)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (!state || PQstatus(c->pg) == CONNECTION_BAD)
		return drv_pgsql_broken(c, f);
	if (!text || c->password)
		text = "the text of the server is left out: it may repeat a hash";
	/* deadlock, serialisation, lock not available, unknown or outdated prepared statement */
	f->again = one_of(state, "40001 40P01 55P03 26000 0A000");
	f->readonly = one_of(state, "25006");
	f->foreign = one_of(state, "22P05 22021"); /* in a database that is not in UTF-8 */
	if (strncmp(state, "08", 2) == 0 || one_of(state, "57P01 57P02 57P03 57P05 53300")) {
		f->lost = true;
		return driver_failed(f, PM_DOWN, "%s: %s", state, text);
	}
	return driver_failed(f, PM_TEMP, "%s: %s", state, text);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void
close_pg(void *conn)
{
	struct sql_conn *c = conn;

	PQfinish(c->pg);
	free(c);
}

static PGconn *
drv_pgsql_start(const struct sql_access *a, const struct sdk_server *s)
{
	bool tls = a->tls && !s->local;
	char port[8];
	/* a value left out here would be taken from the environment and the service user's home */
	const char *keys[] = {"host",
			      "port",
			      "dbname",
			      "user",
			      "password",
			      "passfile",
			      "sslmode",
			      "sslrootcert",
			      "sslcert",
			      "sslkey",
			      "gssencmode",
			      "client_encoding",
			      "application_name",
			      "options",
			      "target_session_attrs",
			      NULL};
	const char *values[] = {s->host,
				port,
				a->database,
				a->user,
				a->password,
				NOWHERE,
				tls ? "verify-full" : "disable",
				tls ? a->tls_ca : "",
				NOWHERE,
				NOWHERE,
				"disable",
				"UTF8",
				"restante",
				"",
				"any",
				NULL};

	snprintf(port, sizeof(port), "%u", s->port);
	return PQconnectStartParams(keys, values, 0);
}

static int32_t
drv_pgsql_connected(PGconn *pg, const struct sdk_server *s, struct sql_until until,
		    struct sql_fail *f)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	f->lost = true;
	while (PQstatus(pg) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
	       state != PGRES_POLLING_FAILED) {
		if (wait_for(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until) <= 0)
			return driver_failed(f, PM_TIMEOUT, "%s: accepted no connection in time",
					     s->label);
		state = PQconnectPoll(pg);
	}
	if (state != PGRES_POLLING_OK || PQstatus(pg) != CONNECTION_OK)
		return driver_failed(f, PM_DOWN, "%s: %.140s", s->label, PQerrorMessage(pg));
	f->lost = false;
	return PM_OK;
}

static int32_t
connect_pg(const struct sql_access *a, const struct sdk_server *s, struct sql_until until,
	   struct sql_conn **ret, struct sql_fail *f)
{
	struct sql_conn *c = calloc(1, sizeof(*c));
	int32_t rc;

	if (!c || !(c->pg = drv_pgsql_start(a, s))) {
		free(c);
		return driver_failed(f, PM_NOMEM, "no memory");
	}
	(void)PQsetNoticeReceiver(c->pg, no_notice, NULL);
	rc = drv_pgsql_connected(c->pg, s, until, f);
	if (rc == PM_OK && a->tls && !s->local && !PQsslInUse(c->pg))
		rc = driver_failed(f, PM_DOWN, "%s: the connection is not encrypted; see tls",
				   s->label);
	if (rc == PM_OK && PQsetnonblocking(c->pg, 1) != 0)
		rc = drv_pgsql_broken(c, f);
	if (rc == PM_OK)
		*ret = c;
	else
		close_pg(c);
	return rc;
}

/* An idle connection has nothing to read: bytes there are its end, or an answer that came too late.
 */
static bool
stale_pg(struct sql_conn *c)
{
	struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

/* ---- statements ------------------------------------------------------------------------------ */

static int32_t
drv_pgsql_flush(struct sql_conn *c, struct sql_until until, struct sql_fail *f)
{
	int rc;

	while ((rc = PQflush(c->pg)) == 1) {
		if (wait_for(c->pg, POLLIN | POLLOUT, until) <= 0)
			return drv_pgsql_late(f, "the server took no statement");
		if (!PQconsumeInput(c->pg))
			return drv_pgsql_broken(c, f);
	}
	return rc == 0 ? PM_OK : drv_pgsql_broken(c, f);
}

/* Reads the whole answer. *ret is the caller's under PM_OK only. */
static int32_t
drv_pgsql_answer(struct sql_conn *c, struct sql_until until, PGresult **ret, struct sql_fail *f)
{
	PGresult *first = NULL, *res;
	int32_t rc = drv_pgsql_flush(c, until, f);

	while (rc == PM_OK) {
		while (rc == PM_OK && PQisBusy(c->pg)) {
			if (wait_for(c->pg, POLLIN, until) <= 0)
				rc = drv_pgsql_late(f, "no answer");
			else if (!PQconsumeInput(c->pg))
				rc = drv_pgsql_broken(c, f);
		}
		if (rc != PM_OK || !(res = PQgetResult(c->pg)))
			break;
		if (first)
			PQclear(res);
		else
			first = res;
	}
	if (rc == PM_OK && !first)
		rc = drv_pgsql_broken(c, f);
	if (rc == PM_OK && PQresultStatus(first) != PGRES_COMMAND_OK &&
	    PQresultStatus(first) != PGRES_TUPLES_OK)
		rc = drv_pgsql_refused(c, first, f);
	if (rc != PM_OK) {
		PQclear(first);
		return rc;
	}
	*ret = first;
	return PM_OK;
}

static void
statement_name(char name[16], enum sql_which which)
{
	snprintf(name, 16, "restante_%d", (int)which);
}

static int32_t
drv_pgsql_prepare(struct sql_conn *c, const struct sql_query *q, struct sql_until until,
		  struct sql_fail *f)
{
	PGresult *res;
	char name[16];
	int32_t rc;

	if (c->prepared[q->which])
		return PM_OK;
	statement_name(name, q->which);
	if (!PQsendPrepare(c->pg, name, q->text, 0, NULL))
		return drv_pgsql_broken(c, f);
	rc = drv_pgsql_answer(c, until, &res, f);
	if (rc != PM_OK)
		return rc;
	PQclear(res);
	c->prepared[q->which] = true;
	return PM_OK;
}

/* libpq wants values that end with a NUL; account.c refuses names that hold one. */
static int32_t
drv_pgsql_execute(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
		  struct sql_until until, PGresult **ret, struct sql_fail *f)
{
	const char *values[SQL_PLACES_MAX];
	char name[16], *text, *at;
	size_t total = 1;
	int sent;

	for (size_t k = 0; k < q->n_places; k++)
		total += args[q->place[k]].n + 1;
	at = text = malloc(total);
	if (!text)
		return driver_failed(f, PM_NOMEM, "no memory");
	for (size_t k = 0; k < q->n_places; k++) {
		struct pm_str a = args[q->place[k]];

		values[k] = a.p ? at : NULL;
		if (a.n > 0)
			memcpy(at, a.p, a.n);
		at[a.n] = '\0';
		at += a.n + 1;
	}
	statement_name(name, q->which);
	sent = PQsendQueryPrepared(c->pg, name, (int)q->n_places, values, NULL, NULL, 0);
	explicit_bzero(text, total);
	free(text);
	return sent ? drv_pgsql_answer(c, until, ret, f) : drv_pgsql_broken(c, f);
}

static int32_t
copy_rows(const PGresult *res, struct sql_result *r, struct sql_fail *f)
{
	int rows = PQntuples(res), columns = PQnfields(res);

	for (int k = 0; k < columns; k++)
		result_name(r, PQfname(res, k));
	for (int row = 0; row < rows; row++)
		for (int k = 0; k < columns; k++)
			result_cell(r, PQgetisnull(res, row, k) ? NULL : PQgetvalue(res, row, k),
				    (size_t)PQgetlength(res, row, k));
	if (!result_end(r))
		return driver_failed(f, PM_TEMP, "the result is larger than %u bytes",
				     SQL_RESULT_BYTES);
	return PM_OK;
}

static int32_t
run_pg(struct sql_conn *c, const struct sql_query *q, const struct pm_str *args,
       struct sql_until until, struct sql_result *r, struct sql_fail *f)
{
	PGresult *res;
	int32_t rc;

	c->password = q->which == Q_SET_PASSWORD;
	rc = drv_pgsql_prepare(c, q, until, f);
	if (rc == PM_OK)
		rc = drv_pgsql_execute(c, q, args, until, &res, f);
	if (rc == PM_OK) {
		rc = copy_rows(res, r, f);
		PQclear(res);
	}
	/* a statement that is unknown, or whose tables changed: a new connection prepares it again
	 */
	if (f->again)
		f->lost = true;
	return rc;
}

const struct sql_driver sql_pgsql = {
	.name = "pgsql",
	.dialect = SQL_PGSQL,
	.network = true,
	.port = 5432,
	.connect = connect_pg,
	.close = close_pg,
	.stale = stale_pg,
	.run = run_pg,
};
