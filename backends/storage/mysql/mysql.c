/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/mysql - mail in MySQL, MariaDB or a Galera cluster. Read:
 *
 *   schema.sql   the tables, and the purpose of each; schema.c makes and upgrades them
 *   db.c         statements, and work that may be repeated on another connection or server;
 *                statements.c: their texts
 *   greet.c      a new connection's settings, and the servers that are refused; fit.c judges them
 *   process.c    this process's row, which all its leases name
 *   lease.c      the exclusive maildrop
 *   snap.c       opening and looking; read.c: messages
 *   commit.c     QUIT; deliver.c, publish.c: mail that comes; box.c: mailboxes and counters
 *   clean.c      the tick
 *
 * The design rests on four rules: a session never sees a message's rows change; every change is one
 * transaction; every piece of work can be repeated from its start, and finds the results of an
 * earlier attempt; no connection is held between calls.
 */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box.h"
#include "clean.h"
#include "commit.h"
#include "conf.h"
#include "db.h"
#include "deliver.h"
#include "domain.h"
#include "greet.h"
#include "process.h"
#include "publish.h"
#include "read.h"
#include "say.h"
#include "schema.h"
#include "snap.h"
#include "store.h"

#define TICK_MS 10000
#define LEASE_MIN_S 30

static const struct pm_option options[] = {
	SDK_OPT("server", PM_OPT_STRING, PM_OPTF_REQUIRED | PM_OPTF_LIST, "", "",
		"host, host:port, [IPv6]:port or the path of a socket; several: the next one is "
		"asked when the first fails"),
	SDK_OPT("database", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"name of the database with the mail"),
	SDK_OPT("user", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"the name restante logs in to the database with"),
	SDK_OPT("password", PM_OPT_STRING, PM_OPTF_SECRET, "", "",
		"the password that goes with it"),
	SDK_OPT("tls", PM_OPT_CHOICE, 0, "verify|off", "verify",
		"verify: encrypted, certificate and name of the server checked, never plain text; "
		"off: plain text, for a server on this machine; sockets need none"),
	SDK_OPT("tls_ca", PM_OPT_PATH, 0, "", "",
		"file of the authorities that may have signed the server's certificate"),
	SDK_OPT("connect_timeout", PM_OPT_NUMBER, 0, "ms", "2s",
		"how long one server may take to accept a connection"),
	SDK_OPT("query_timeout", PM_OPT_NUMBER, 0, "ms", "5s",
		"how long one server may take for a piece of work before the next is asked; large "
		"deletions get more"),
	SDK_OPT("lease_time", PM_OPT_NUMBER, 0, "s", "90s",
		"how long a maildrop stays locked when this host vanishes; at least 30 s, well "
		"above the clocks' differences"),
	SDK_OPT("abandoned_time", PM_OPT_NUMBER, 0, "s", "1h",
		"when a delivery nobody goes on with is removed"),
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* ---- connections ----------------------------------------------------------------------------- */

static int32_t
mysql_before(struct db *d)
{
	return process_renew(d, d->pool->ctx, false);
}

static int32_t
mysql_settle(struct db *d)
{
	return process_write(d, d->pool->ctx);
}

/* ---- settings -------------------------------------------------------------------------------- */

#define WRONG(key, ...) (sdk_report(open, key, __VA_ARGS__), bad = true)

static int32_t
my_check(const struct pm_open *open)
{
	char *ca = sdk_strdup(sdk_opt_str(open, "tls_ca"));
	bool bad = false, remote = false;
	const struct pm_value *v;
	struct pm_str host;
	uint16_t port;
	uint32_t n = 0;

	for (; (v = sdk_opt(open, "server", n)) != NULL; n++) {
		if (!sdk_server_split(v->str, &host, &port))
			WRONG("server", "'%.*s': expected host, host:port, [IPv6]:port or a path",
			      (int)v->str.n, v->str.p);
		remote = remote || sdk_server_remote(host);
	}
	if (n > SDK_SERVERS_MAX)
		WRONG("server", "at most %d", SDK_SERVERS_MAX);
	if (ca && sdk_opt_num(open, "tls", 0) == 0 && remote && !*ca)
		WRONG("tls_ca", "is missing: without it no server can be trusted; tls = off only "
				"for a server on this machine");
	else if (ca && *ca && access(ca, R_OK) != 0)
		WRONG("tls_ca", "'%s' cannot be read", ca);
	if (sdk_opt_num(open, "lease_time", 90) < LEASE_MIN_S ||
	    sdk_opt_num(open, "lease_time", 90) > 3600)
		WRONG("lease_time",
		      "expected %d s to 1 h: it has to outlast a moment without the database",
		      LEASE_MIN_S);
	if (sdk_opt_num(open, "abandoned_time", 3600) < 1200)
		WRONG("abandoned_time",
		      "expected 20 minutes at least: deliveries say every 10 that they go on");
	free(ca);
	return bad ? PM_INVALID : PM_OK;
}

static bool
mysql_open_servers(struct db_pool *p, const struct pm_open *open)
{
	const char *labels[SDK_SERVERS_MAX];
	const struct pm_value *v;

	while (p->n_servers < SDK_SERVERS_MAX &&
	       (v = sdk_opt(open, "server", (uint32_t)p->n_servers)) != NULL) {
		struct sdk_server *s = &p->servers[p->n_servers];

		if (!sdk_server_parse(s, v->str, 3306))
			return false;
		labels[p->n_servers++] = s->label;
	}
	p->places = sdk_pool_new(open->host, open->permits, labels, p->n_servers, db_close);
	return p->places != NULL;
}

static bool
open_pool(struct inst *i, const struct pm_open *open)
{
	struct db_pool *p = &i->pool;

	p->host = open->host;
	p->greet = greet;
	p->before = mysql_before;
	p->settle = mysql_settle;
	p->ctx = i;
	p->connect_ms = sdk_opt_num(open, "connect_timeout", 2000);
	p->query_ms = sdk_opt_num(open, "query_timeout", 5000);
	i->database = sdk_strdup(sdk_opt_str(open, "database"));
	i->user = sdk_strdup(sdk_opt_str(open, "user"));
	i->password = sdk_strdup(sdk_opt_str(open, "password"));
	i->tls_ca = sdk_strdup(sdk_opt_str(open, "tls_ca"));
	p->access = (struct sdk_my_access){
		.host = open->host,
		.watch = sdk_watch_new(),
		.database = i->database,
		.user = i->user,
		.password = i->password,
		.tls = sdk_opt_num(open, "tls", 0) == 0,
		.tls_ca = i->tls_ca,
		.flags = CLIENT_FOUND_ROWS, /* counts rows that were matched, changed or not */
		.packet_max = 1u << 20,
	};
	return p->access.watch && i->database && i->user && i->password && i->tls_ca &&
	       mysql_open_servers(p, open);
}

static void
my_close(void *inst)
{
	struct inst *i = inst;

	if (i->process)
		process_put(i);
	sdk_pool_free(i->pool.places);
	sdk_watch_free(i->pool.access.watch);
	for (size_t k = 0; k < i->pool.n_servers; k++)
		sdk_server_free(&i->pool.servers[k]);
	if (i->password)
		explicit_bzero(i->password, strlen(i->password));
	free(i->database);
	free(i->user);
	free(i->password);
	free(i->tls_ca);
	free(i);
}

static int32_t
my_open(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"deliveries_abandoned", "leases_lost",
					       "repeated_conflict",    "repeated_lost",
					       "repeated_readonly",    NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->lease_ms = sdk_opt_num(open, "lease_time", 90) * 1000;
	i->abandoned_s = (uint64_t)sdk_opt_num(open, "abandoned_time", 3600);
	if (!open_pool(i, open) || !(i->process = process_get(open))) {
		sdk_report(open, "", "no memory, or no thread to watch the time");
		my_close(i);
		return PM_NOMEM;
	}
	*ret_inst = i;
	return PM_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
my_retire(void *inst)
{
	sdk_pool_retire(((struct inst *)inst)->pool.places);
}

static int32_t
mysql_nothing(struct db *d, void *arg)
{
	struct db_col col = {.p = NULL};

	(void)arg;
	return db_row(d, ST_VERSION, NULL, 0, &col, 1);
}

static int32_t
my_probe(void *inst, const struct pm_call *call)
{
	int32_t rc = db_do(&((struct inst *)inst)->pool, call, 0, mysql_nothing, NULL);

	return rc == PM_OK || rc == PM_TIMEOUT ? rc : PM_DOWN;
}

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = TICK_MS,
	.global_init = sdk_my_global_init,
	.check = my_check,
	.open = my_open,
	.close = my_close,
	.retire = my_retire,
	.probe = my_probe,
	.tick = clean_tick,
	.setup = schema_setup,
};

static const struct pm_storage storage = {
	.size = sizeof(storage),
	.mbox_open = snap_open,
	.mbox_info = snap_info,
	.msg_open = read_open,
	.msg_read = read_some,
	.msg_close = read_close,
	.mbox_commit = commit_run,
	.mbox_close = snap_close,
	.box_list = box_list,
	.box_stat = box_stat,
	.box_delete = box_delete,
	.domain_stat = domain_stat,
	.box_place = box_place,
};

static const struct pm_delivery delivery = {
	.size = sizeof(delivery),
	.dlv_begin = deliver_begin,
	.dlv_rcpt = deliver_rcpt,
	.dlv_write = deliver_write,
	.dlv_prepare = deliver_prepare,
	.dlv_commit = publish_commit,
	.dlv_abort = publish_abort,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT |
		 PM_F_CAN_UTF8 | PM_F_COUNTS,
	.name = SDK_STR("mysql"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = N_OPTIONS,
	.option_stride = sizeof(struct pm_option),
	.life = &life,
	.storage = &storage,
	.delivery = &delivery,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
