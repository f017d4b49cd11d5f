/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As many connections as there are permits, so that nobody waits here for one. A connection is asked without
 * waiting whether it still lives before it is used. Servers are tried in the order of the configuration, those
 * that failed last of all; when a better one is back, connections move to it one by one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "sql.h"

#define REVIVE_MS 1000

bool
pool_has(const struct inst *i, enum sql_which which)
{
	return i->queries[which].text != NULL;
}

/* ---- links ----------------------------------------------------------------------------------- */

static struct link *
link_take(struct inst *i)
{
	struct link *l = NULL;

	pthread_mutex_lock(&i->mutex);
	for (uint32_t k = 0; k < i->n_links; k++) {
		struct link *c = &i->links[k];

		if (!c->busy && (!l || (c->conn && !l->conn)))
			l = c;
	}
	if (l)
		l->busy = true;
	pthread_mutex_unlock(&i->mutex);
	return l;
}

static void
link_close(struct inst *i, struct link *l)
{
	if (l->conn)
		i->driver->close(l->conn);
	l->conn = NULL;
}

static void
link_put(struct inst *i, struct link *l)
{
	pthread_mutex_lock(&i->mutex);
	l->busy = false;
	pthread_mutex_unlock(&i->mutex);
}

static unsigned
generation(struct inst *i)
{
	unsigned g;

	pthread_mutex_lock(&i->mutex);
	g = i->generation;
	pthread_mutex_unlock(&i->mutex);
	return g;
}

void
pool_retire(struct inst *i)
{
	struct link *l;

	pthread_mutex_lock(&i->mutex);
	i->generation++;
	pthread_mutex_unlock(&i->mutex);
	for (uint32_t k = 0; k < i->n_links && (l = link_take(i)) != NULL; k++) {
		bool was = l->conn != NULL;

		link_close(i, l);
		link_put(i, l);
		if (!was)
			break; /* connected ones are taken first */
	}
}

/* ---- servers --------------------------------------------------------------------------------- */

/* One line per change, whoever notices first. */
static void
server_is(struct inst *i, size_t s, bool down, const char *why)
{
	bool was;

	pthread_mutex_lock(&i->mutex);
	was = i->health[s].down;
	i->health[s].down = down;
	if (was && !down)
		i->generation++; /* who is connected to a worse one looks again */
	pthread_mutex_unlock(&i->mutex);
	if (down && !was)
		sdk_log(i->host, PM_LOG_ERROR, "server %s does not serve: %s%s", i->servers[s].label, why,
			i->n_servers > 1 ? "; the others are asked first now" : "");
	else if (was && !down)
		sdk_log(i->host, PM_LOG_NOTICE, "server %s serves again", i->servers[s].label);
}

static bool
server_down(struct inst *i, size_t s)
{
	bool down;

	pthread_mutex_lock(&i->mutex);
	down = i->health[s].down;
	pthread_mutex_unlock(&i->mutex);
	return down;
}

static struct sql_until
sooner(const struct inst *i, int64_t deadline_ms, int64_t ms)
{
	int64_t at = i->host->now_ms(i->host->ctx) + ms;

	return (struct sql_until){i->host, at < deadline_ms ? at : deadline_ms};
}

static int32_t
connect_to(struct inst *i, struct link *l, size_t s, int64_t deadline_ms, struct sql_fail *f)
{
	unsigned g = generation(i);
	int32_t rc;

	memset(f, 0, sizeof(*f));
	rc = i->driver->connect(&i->access, &i->servers[s], sooner(i, deadline_ms, i->connect_ms), &l->conn, f);
	if (rc != PM_OK && rc != PM_NOMEM)
		server_is(i, s, true, f->text);
	if (rc != PM_OK)
		return rc;
	if (server_down(i, s)) {
		server_is(i, s, false, "");
		g = generation(i);
	}
	l->server = s;
	l->generation = g;
	return PM_OK;
}

/* Those not known to be down first; never those of the mask. */
static int32_t
connect_any(struct inst *i, struct link *l, uint32_t not, int64_t deadline_ms, struct sql_fail *f)
{
	int32_t rc = sql_failed(f, PM_TIMEOUT, "no time left to connect");
	uint32_t tried = not;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t s = 0; s < i->n_servers; s++) {
			if ((tried & (1u << s)) || (pass == 0 && server_down(i, s)))
				continue;
			if (i->host->now_ms(i->host->ctx) >= deadline_ms)
				return rc;
			tried |= 1u << s;
			rc = connect_to(i, l, s, deadline_ms, f);
			if (rc == PM_OK || rc == PM_NOMEM)
				return rc;
		}
	}
	return rc;
}

void
pool_revive(struct inst *i, int64_t deadline_ms)
{
	struct sql_fail f;

	for (size_t s = 0; i->n_servers > 1 && s < i->n_servers; s++) {
		struct sql_conn *c = NULL;

		memset(&f, 0, sizeof(f));
		if (!server_down(i, s) ||
		    i->driver->connect(&i->access, &i->servers[s], sooner(i, deadline_ms, REVIVE_MS), &c, &f) != PM_OK)
			continue;
		i->driver->close(c);
		server_is(i, s, false, "");
	}
}

/* ---- running --------------------------------------------------------------------------------- */

/* What one statement has been through. */
struct journey {
	uint32_t readonly; /* servers that take no writes */
	bool repeated;
};

/* After a failure: is it worth another try, and where? */
static bool
try_again(struct inst *i, struct link *l, struct journey *j, int32_t rc, const struct sql_fail *f, int64_t deadline_ms)
{
	if (rc == PM_TIMEOUT && f->lost)
		server_is(i, l->server, true, f->text);
	if (f->readonly) {
		j->readonly |= 1u << l->server;
		link_close(i, l);
		return j->readonly != (1u << i->n_servers) - 1 && i->host->now_ms(i->host->ctx) < deadline_ms;
	}
	if (f->lost)
		link_close(i, l);
	if (j->repeated || !(f->lost || f->again) || i->host->now_ms(i->host->ctx) >= deadline_ms)
		return false;
	j->repeated = true;
	return rc != PM_TIMEOUT || i->n_servers > 1; /* who did not answer will not answer now */
}

static int32_t
run_on(struct inst *i, struct link *l, const struct sql_query *q, const struct pm_str *args, int64_t deadline_ms,
       struct sql_result *r, struct sql_fail *f)
{
	struct journey j = {0};
	int32_t rc;

	if (l->conn && (l->generation != generation(i) || i->driver->stale(l->conn)))
		link_close(i, l);
	do {
		memset(f, 0, sizeof(*f));
		rc = l->conn ? PM_OK : connect_any(i, l, j.readonly, deadline_ms, f);
		if (rc != PM_OK)
			break;
		rc = i->driver->run(l->conn, q, args, sooner(i, deadline_ms, i->query_ms), r, f);
		if (rc == PM_OK)
			break;
		sql_result_free(r);
	} while (try_again(i, l, &j, rc, f, deadline_ms));
	if (j.readonly)
		link_close(i, l); /* reads begin with the first server again */
	return rc;
}

int32_t
pool_run(struct inst *i, const struct pm_call *call, enum sql_which which, const struct pm_str *args,
	 struct sql_result *r)
{
	const struct sql_query *q = &i->queries[which];
	struct sql_fail f = {0};
	struct link *l;
	int32_t rc;

	memset(r, 0, sizeof(*r));
	if (sdk_left_ms(i->host, call) == 0) {
		sdk_error(call, "%s: no time left", q->option);
		return PM_TIMEOUT;
	}
	l = link_take(i);
	if (!l) {
		sdk_error(call, "%s: more calls at once than permits", q->option);
		return PM_TEMP;
	}
	rc = run_on(i, l, q, args, call->deadline_ms, r, &f);
	if (rc != PM_OK)
		sdk_error(call, "%s: %s", q->option, f.text);
	link_put(i, l);
	return rc;
}
