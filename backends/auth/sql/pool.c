/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One statement on the server that works. A connection is asked without waiting whether it still
 * lives before it is used; places and servers are sdk/connpool.h's.
 */
#include "pool.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "driver.h"
#include "query.h"
#include "result.h"
#include "say.h"
#include "sql.h"

#define REVIVE_MS 1000

bool
pool_has(const struct inst *i, enum sql_which which)
{
	return i->queries[which].text != NULL;
}

static struct sql_until
pool_sooner(const struct inst *i, int64_t deadline_ms, int64_t ms)
{
	int64_t at = i->host->now_ms(i->host->ctx) + ms;

	return (struct sql_until){i->host, at < deadline_ms ? at : deadline_ms};
}

static int32_t
pool_connect_to(void *ctx, size_t server, int64_t until_ms, void **ret, char *why)
{
	struct inst *i = ctx;
	struct sql_fail f = {0};
	struct sql_conn *c = NULL;
	int32_t rc = i->driver->connect(&i->access, &i->servers[server],
					pool_sooner(i, until_ms, i->connect_ms), &c, &f);

	*ret = c;
	snprintf(why, SDK_WHY_MAX, "%s", f.text);
	return rc;
}

void
pool_revive(struct inst *i, int64_t deadline_ms)
{
	if (i->n_servers > 1)
		sdk_pool_revive(i->pool, pool_sooner(i, deadline_ms, REVIVE_MS).ms, pool_connect_to,
				i);
}

/* ---- running --------------------------------------------------------------------------------- */

/* The history of one statement. */
struct journey {
	uint32_t readonly; /* servers that take no writes */
	bool repeated;
};

static bool
pool_over(const struct inst *i, int64_t deadline_ms)
{
	return i->host->now_ms(i->host->ctx) >= deadline_ms;
}

/* Decides after a failure whether and where to try again. */
static bool
pool_try_again(struct inst *i, struct sdk_place *at, struct journey *j, int32_t rc,
	       const struct sql_fail *f, int64_t deadline_ms)
{
	if (rc == PM_TIMEOUT && f->lost)
		sdk_pool_note(i->pool, at->server, true, f->text);
	if (f->lost || f->readonly)
		sdk_place_close(i->pool, at);
	if (f->readonly) {
		j->readonly |= 1u << at->server;
		return j->readonly != (1u << i->n_servers) - 1 && !pool_over(i, deadline_ms);
	}
	if (j->repeated || !(f->lost || f->again) || pool_over(i, deadline_ms))
		return false;
	j->repeated = true;
	/* a server that did not answer will not answer now */
	return rc != PM_TIMEOUT || i->n_servers > 1;
}

static int32_t
run_on(struct inst *i, struct sdk_place *at, const struct sql_query *q, const struct pm_str *args,
       int64_t deadline_ms, struct sql_result *r, struct sql_fail *f)
{
	struct journey j = {0};
	int32_t rc;

	if (at->conn && i->driver->stale(at->conn))
		sdk_place_close(i->pool, at);
	do {
		memset(f, 0, sizeof(*f));
		rc = at->conn ? PM_OK
			      : sdk_pool_connect(i->pool, at, j.readonly, deadline_ms,
						 pool_connect_to, i, f->text);
		if (rc != PM_OK)
			break;
		rc = i->driver->run(at->conn, q, args, pool_sooner(i, deadline_ms, i->query_ms), r,
				    f);
		if (rc == PM_OK)
			break;
		result_free(r);
	} while (pool_try_again(i, at, &j, rc, f, deadline_ms));
	if (j.readonly)
		sdk_place_close(i->pool, at); /* reads begin with the first server again */
	return rc;
}

/* A name in such letters is nobody's here. If it has none, the statement is at fault. */
static bool
names_nobody(const struct sql_query *q, const struct pm_str *args)
{
	if (q->which > Q_DOMAIN)
		return false; /* it writes */
	for (size_t k = 0; k < q->n_places; k++)
		for (size_t n = 0; n < args[q->place[k]].n; n++)
			if ((unsigned char)args[q->place[k]].p[n] >= 0x80)
				return true;
	return false;
}

int32_t
pool_run(struct inst *i, const struct pm_call *call, enum sql_which which,
	 const struct pm_str *args, struct sql_result *r)
{
	const struct sql_query *q = &i->queries[which];
	struct sql_fail f = {0};
	struct sdk_place *at;
	int32_t rc;

	memset(r, 0, sizeof(*r));
	if (sdk_left_ms(i->host, call) == 0) {
		sdk_error(call, "%s: no time left", q->option);
		return PM_TIMEOUT;
	}
	at = sdk_pool_take(i->pool);
	if (!at) {
		sdk_error(call, "%s: more calls at once than permits", q->option);
		return PM_TEMP;
	}
	rc = run_on(i, at, q, args, call->deadline_ms, r, &f);
	if (rc == PM_TEMP && f.foreign && names_nobody(q, args)) {
		sdk_log(i->host, PM_LOG_DEBUG, "%s: %s: taken for nobody's name", q->option,
			f.text);
		rc = PM_NOENT;
	} else if (rc != PM_OK) {
		sdk_error(call, "%s: %s", q->option, f.text);
	}
	sdk_pool_give(i->pool, at);
	return rc;
}
