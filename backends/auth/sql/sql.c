/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/sql - accounts in MySQL, MariaDB, PostgreSQL or SQLite, by the administrator's own
 * statements. Read:
 *
 *   driver.h         the interface that the databases have in common; drv_*.c are the three
 *   query.c          parameters like :user become placeholders; a value is never text
 *   pool.c           a statement on a server that works, repeated once
 *   account.c        verify and the other methods; row.c: columns by name
 *   write_behind.c   last logins and new hashes, written a moment later
 *   setup.c          the settings
 *
 * A failed database is PM_DOWN, PM_TIMEOUT or PM_TEMP; only an answer of the database can be "no
 * such user", and only a hash that was computed can be "wrong password" (R11).
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "sql.h"

#include <string.h>

#include "account.h"
#include "conf.h"
#include "drivers.h"
#include "pool.h"
#include "query.h"
#include "result.h"
#include "setup.h"
#include "write_behind.h"

#define TICK_MS 1000

static int32_t
sql_caps(void *inst, uint64_t *ret_kinds)
{
	const struct inst *i = inst;

	*ret_kinds = 1u << PM_CRED_PASSWORD |
		     (uint64_t)(PM_SECRET_SCRAM_SHA1 | PM_SECRET_SCRAM_SHA256) << 16;
	if (i->limits.allow_plain)
		*ret_kinds |= (uint64_t)PM_SECRET_PLAIN << 16;
	return PM_OK;
}

static int32_t
sql_probe(void *inst, const struct pm_call *call)
{
	struct pm_str args[P_COUNT] = {0};
	struct sql_result r = {0};
	int32_t rc = pool_run(inst, call, Q_PROBE, args, &r);

	result_free(&r);
	return rc == PM_OK || rc == PM_TIMEOUT ? rc : PM_DOWN;
}

static int32_t
sql_tick(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;

	pool_revive(i, call->deadline_ms);
	return write_behind_flush(i, call);
}

static void
sql_retire(void *inst)
{
	const struct inst *i = inst;

	sdk_pool_retire(i->pool);
}

static int32_t
sql_global_init(void)
{
#ifdef HAVE_MYSQL
	if (sql_mysql.global_init && sql_mysql.global_init() != PM_OK)
		return PM_TEMP;
#endif
	return PM_OK;
}

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = TICK_MS,
	.global_init = sql_global_init,
	.check = setup_check,
	.open = setup_open,
	.close = setup_close,
	.retire = sql_retire,
	.probe = sql_probe,
	.tick = sql_tick,
};

static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = sql_caps,
	.verify = account_verify,
	.lookup = account_lookup,
	.secret = account_secret,
	.domain = account_domain,
	.event = write_behind_event,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_MAY_BURN,
	.name = SDK_STR("sql"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = setup_options,
	.n_options = SQL_OPTIONS,
	.option_stride = sizeof(struct pm_option),
	.life = &life,
	.auth = &auth,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
