/* SPDX-License-Identifier: Apache-2.0 */
/* schema - the steps of schema.sql, and which of them this database has. The file itself is
 * compiled in, and cut at its "-- step N" lines. Each step can be run again after it was
 * interrupted; its last statement notes it in mail_version. */
#include "schema.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "conf.h"
#include "db.h"
#include "say.h"
#include "store.h"

extern const char schema_text[]; /* made of schema.sql */

/* ---- the version ----------------------------------------------------------------------------- */

/* Reads the version. 0: no tables yet. */
static int32_t
schema_version(struct db *d, uint64_t *ret)
{
	struct db_col col = {.p = NULL};
	int32_t rc = db_row(d, ST_VERSION, NULL, 0, &col, 1);

	*ret = 0;
	if (rc == PM_OK)
		*ret = (uint64_t)col.u;
	if (rc != PM_OK && d->fail.code == ER_NO_SUCH_TABLE) {
		memset(&d->fail, 0, sizeof(d->fail));
		return PM_OK;
	}
	return rc;
}

int32_t
schema_check(struct db *d)
{
	uint64_t v;
	int32_t rc = schema_version(d, &v);

	if (rc != PM_OK || v == SCHEMA_VERSION)
		return rc;
	d->fail.lost = true;
	if (v == 0)
		return db_say(d, PM_DOWN,
			      "the database has no tables of ours: run restantectl mysql-schema");
	if (v < SCHEMA_VERSION)
		return db_say(d, PM_DOWN,
			      "the tables are of step %llu, step %u is needed: run restantectl "
			      "mysql-schema",
			      (unsigned long long)v, SCHEMA_VERSION);
	return db_say(d, PM_DOWN,
		      "the tables are of step %llu, this module knows %u: install a newer restante",
		      (unsigned long long)v, SCHEMA_VERSION);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Runs the statements of a step, one at a time. Lines that begin with "--" are for people. */
static int32_t
run_step(struct db *d, const char *p, const char *end)
{
	char *statement = malloc((size_t)(end - p) + 1);
	size_t n = 0;
	int32_t rc = PM_OK;

	if (!statement)
		return db_say(d, PM_NOMEM, "no memory");
	while (p < end && rc == PM_OK) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) + 1 : (size_t)(end - p);

		if (strncmp(p, "--", 2) != 0) {
			memcpy(statement + n, p, len);
			n += len;
			if (n >= 2 && statement[n - 2] == ';') {
				rc = db_text(d, statement, n - 2);
				n = 0;
			}
		}
		p += len;
	}
	free(statement);
	return rc;
}

static int32_t
schema_upgrade(struct db *d, void *arg)
{
	const struct pm_host *host = d->pool->host;
	uint64_t v;
	int32_t rc = schema_version(d, &v);

	(void)arg;
	if (rc == PM_OK && v > SCHEMA_VERSION)
		return schema_check(d);
	if (rc == PM_OK && v == SCHEMA_VERSION)
		sdk_log(host, PM_LOG_NOTICE, "the tables are up to date (step %u)", SCHEMA_VERSION);
	for (; rc == PM_OK && v < SCHEMA_VERSION; v++) {
		char mark[32];
		const char *from, *end;

		snprintf(mark, sizeof(mark), "-- step %llu\n", (unsigned long long)v + 1);
		from = strstr(schema_text, mark);
		end = from ? strstr(from + 3, "-- step ") : NULL;
		if (!from)
			return db_say(d, PM_INVALID, "schema.sql has no step %llu",
				      (unsigned long long)v + 1);
		rc = run_step(d, from, end ? end : schema_text + strlen(schema_text));
		if (rc == PM_OK)
			sdk_log(host, PM_LOG_NOTICE, "step %llu of the schema is done",
				(unsigned long long)v + 1);
	}
	return rc;
}

/* ---- counters -------------------------------------------------------------------------------- */

struct recounting {
	uint64_t after, boxes, wrong;
};

static int32_t
recount_one(struct db *d, struct recounting *r, uint64_t id)
{
	struct box_row box = {.id = id};
	struct db_arg arg = DB_U(id);
	struct db_col cols[3] = {[2] = {.p = box.domain, .cap = sizeof(box.domain)}};
	uint64_t messages, octets;
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = db_row(d, ST_BOX_LOCK, &arg, 1, cols, 3);
	if (rc != PM_OK)
		return db_rollback(d, rc == PM_END ? PM_OK : rc);
	messages = (uint64_t)cols[0].u;
	octets = (uint64_t)cols[1].u;
	box.domain_n = cols[2].n;
	rc = box_recount(d, &box);
	if (rc == PM_OK)
		rc = db_row(d, ST_BOX_LOCK, &arg, 1, cols, 3);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	rc = db_commit(d);
	if (rc == PM_OK) {
		r->boxes++;
		r->wrong += messages != (uint64_t)cols[0].u || octets != (uint64_t)cols[1].u;
		r->after = id;
	}
	return rc;
}

/* Counts all mailboxes again, and from them the domains. */
static int32_t
schema_recount(struct db *d, void *arg)
{
	struct recounting *r = arg;
	int32_t rc = PM_OK;
	size_t n = 1;

	while (rc == PM_OK && n > 0) {
		struct db_arg args[] = {DB_U(r->after), DB_U(100)};
		char key[PM_KEY_MAX];
		struct db_col cols[2] = {[1] = {.p = key, .cap = sizeof(key)}};
		uint64_t ids[100];

		n = 0;
		rc = db_select(d, ST_BOX_LIST, args, 2, cols, 2);
		while (rc == PM_OK && n < 100 && (rc = db_next(d, ST_BOX_LIST)) == PM_OK)
			ids[n++] = (uint64_t)cols[0].u;
		db_end(d, ST_BOX_LIST);
		rc = rc == PM_END ? PM_OK : rc;
		for (size_t k = 0; rc == PM_OK && k < n; k++)
			rc = recount_one(d, r, ids[k]);
	}
	return rc == PM_OK ? db_exec(d, ST_DOMAIN_RECOUNT, NULL, 0) : rc;
}

/* ---- the call -------------------------------------------------------------------------------- */

static int32_t
schema_look(struct db *d, void *arg)
{
	int32_t rc = schema_check(d);

	(void)arg;
	if (rc == PM_OK)
		sdk_log(d->pool->host, PM_LOG_NOTICE, "the tables are up to date (step %u)",
			SCHEMA_VERSION);
	return rc;
}

int32_t
schema_setup(void *inst, const struct pm_call *call, struct pm_str what)
{
	struct inst *i = inst;
	struct recounting r = {.after = 0};
	int32_t rc;

	i->any_schema = true; /* this is a tool's instance, which no one else uses */
	if (what.n == 0 || sdk_str_is(what, "upgrade"))
		return db_do(&i->pool, call, INT32_MAX, schema_upgrade, NULL);
	if (sdk_str_is(what, "check"))
		return db_do(&i->pool, call, 0, schema_look, NULL);
	if (!sdk_str_is(what, "recount")) {
		sdk_error(call, "'%.*s' is not known here: upgrade, check or recount",
			  (int)(what.n % 100), what.p);
		return PM_UNSUPPORTED;
	}
	i->any_schema = false;
	rc = db_do(&i->pool, call, INT32_MAX, schema_recount, &r);
	if (rc == PM_OK)
		sdk_log(i->host, PM_LOG_NOTICE,
			"%llu mailboxes counted, %llu counters were wrong and are right now",
			(unsigned long long)r.boxes, (unsigned long long)r.wrong);
	return rc;
}
