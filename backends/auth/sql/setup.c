/* SPDX-License-Identifier: Apache-2.0 */
/* The settings: their names, the checks, and an instance made of them. No network. */
#include "setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "driver.h"
#include "drivers.h"
#include "password_make.h"
#include "query.h"
#include "say.h"
#include "sql.h"
#include "write_behind.h"

#define WHY 160

const struct pm_option setup_options[SQL_OPTIONS] = {
	SDK_OPT("driver", PM_OPT_CHOICE, PM_OPTF_REQUIRED, "mysql|pgsql|sqlite", "",
		"the database: mysql (MariaDB too), pgsql (PostgreSQL) or sqlite"),
	SDK_OPT("server", PM_OPT_STRING, PM_OPTF_LIST, "", "",
		"host, host:port, [IPv6]:port or the path of a socket (pgsql: its directory); "
		"several: the next one is asked when the first fails"),
	SDK_OPT("database", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"name of the database; sqlite: its file, an absolute path"),
	SDK_OPT("user", PM_OPT_STRING, 0, "", "", "the name restante logs in to the database with"),
	SDK_OPT("password", PM_OPT_STRING, PM_OPTF_SECRET, "", "",
		"the password that goes with it"),
	SDK_OPT("tls", PM_OPT_CHOICE, 0, "verify|off", "verify",
		"verify: encrypted, certificate and name of the server checked, never plain text; "
		"off: plain text, for a server on this machine; sockets need none"),
	SDK_OPT("tls_ca", PM_OPT_PATH, 0, "", "",
		"file of the authorities that may have signed the server's certificate"),
	SDK_OPT("connect_timeout", PM_OPT_NUMBER, 0, "ms", "2s",
		"how long one server may take to accept a connection"),
	SDK_OPT("query_timeout", PM_OPT_NUMBER, 0, "ms", "3s",
		"how long one statement may take; the section's deadline holds as well"),
	SDK_OPT("query_user", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"statement that gives the one row of an account, with the columns name, password "
		"and those of sql.md; parameters :user :local :domain :peer :service"),
	SDK_OPT("query_passwords", PM_OPT_STRING, 0, "", "",
		"statement that gives a user's app passwords, with the columns password, id, "
		"label, enabled, valid_until, may_pop3, may_delete"),
	SDK_OPT("query_targets", PM_OPT_STRING, 0, "", "",
		"statement that gives the addresses an alias stands for, in the column target, one "
		"a row or with commas"),
	SDK_OPT("query_domain", PM_OPT_STRING, 0, "", "",
		"statement that gives a row when :domain is ours"),
	SDK_OPT("update_password", PM_OPT_STRING, 0, "", "",
		"statement that replaces the hash :old of :user by :hash, after a login, when it "
		"is not of password_scheme"),
	SDK_OPT("update_login", PM_OPT_STRING, 0, "", "",
		"statement that notes a login of :user at :time (seconds since 1970) from :peer; "
		"run after the login"),
	SDK_OPT("update_used", PM_OPT_STRING, 0, "", "",
		"statement that notes that app password :id of :user was used at :time"),
	SDK_OPT("password_scheme", PM_OPT_CHOICE, 0, "keep|sha512-crypt|yescrypt|bcrypt", "keep",
		"hashes of another scheme or cost are replaced at login by update_password; keep: "
		"never"),
	SDK_OPT("password_cost", PM_OPT_NUMBER, 0, "", "0",
		"rounds of sha512-crypt, 1 to 11 of yescrypt, 4 to 31 of bcrypt; 0: what libcrypt "
		"finds right"),
	SDK_OPT("unknown", PM_OPT_CHOICE, 0, "deny|next", "deny",
		"a user who is not there: refused, or the next section's"),
	SDK_OPT("allow_plain", PM_OPT_BOOL, 0, "", "no", "accept {PLAIN} passwords"),
	SDK_OPT("max_rounds", PM_OPT_NUMBER, 0, "", "5000000",
		"hashes that cost more rounds are refused"),
	SDK_OPT("max_log_cost", PM_OPT_NUMBER, 0, "", "16",
		"log2 cost of bcrypt, scrypt, yescrypt"),
	SDK_OPT("max_memory_kib", PM_OPT_NUMBER, 0, "", "1048576", "memory of argon2 hashes"),
};

static const char *const query_options[Q_COUNT] = {
	[Q_USER] = "query_user",
	[Q_PASSWORDS] = "query_passwords",
	[Q_TARGETS] = "query_targets",
	[Q_DOMAIN] = "query_domain",
	[Q_SET_PASSWORD] = "update_password",
	[Q_SET_LOGIN] = "update_login",
	[Q_SET_USED] = "update_used",
	[Q_PROBE] = NULL,
};

/* ---- check ----------------------------------------------------------------------------------- */

#define WRONG(key, ...) (sdk_report(open, key, __VA_ARGS__), bad = true)

static bool
check_servers(const struct pm_open *open, const struct sql_driver *d, bool *ret_remote)
{
	const struct pm_value *v;
	bool bad = false;
	uint32_t n = 0;

	*ret_remote = false;
	for (; (v = sdk_opt(open, "server", n)) != NULL && v->str.n > 0; n++) {
		struct pm_str host;
		uint16_t port;

		if (!sdk_server_split(v->str, &host, &port))
			WRONG("server", "'%.*s': expected host, host:port, [IPv6]:port or a path",
			      (int)v->str.n, v->str.p);
		*ret_remote = *ret_remote || sdk_server_remote(host);
	}
	if (d->network && n == 0)
		WRONG("server", "is missing: the host or socket of the database");
	if (!d->network && n > 0)
		WRONG("server", "sqlite has no server; name its file by 'database'");
	if (n > SDK_SERVERS_MAX)
		WRONG("server", "at most %d", SDK_SERVERS_MAX);
	if (d->network && sdk_opt_str(open, "user").n == 0)
		WRONG("user", "is missing: the name to log in to the database with");
	return !bad;
}

static bool
check_tls(const struct pm_open *open, bool remote)
{
	bool bad = false, verify = sdk_opt_num(open, "tls", 0) == 0;
	char *ca = sdk_strdup(sdk_opt_str(open, "tls_ca"));

	if (!ca)
		return false;
	if (verify && remote && !*ca)
		WRONG("tls_ca", "is missing: without it no server can be trusted; tls = off only "
				"for a server on this machine");
	else if (*ca && access(ca, R_OK) != 0)
		WRONG("tls_ca", "'%s' cannot be read", ca);
	free(ca);
	return !bad;
}

static bool
check_queries(const struct pm_open *open, const struct sql_driver *d)
{
	bool bad = false;

	for (int k = 0; k < Q_COUNT; k++) {
		struct pm_str text =
			query_options[k] ? sdk_opt_str(open, query_options[k]) : sdk_str("");
		struct sql_query q = {0};
		char why[WHY] = "";

		if (text.n > 0 && !query_parse(&q, (enum sql_which)k, d->dialect, text, why))
			WRONG(query_options[k], "%s", why);
		else if (text.n > 0 && q.n_places == 0)
			WRONG(query_options[k],
			      "it uses no parameter: every user would get the same row");
		query_free(&q);
	}
	if (open->flags & PM_OPENF_DOMAINS && sdk_opt_str(open, "query_domain").n == 0)
		WRONG("query_domain", "is missing: with SMTP and unknown_recipient = badmail mail "
				      "to any domain would be kept; without it "
				      "set domains = ... in this section");
	return !bad;
}

static bool
check_scheme(const struct pm_open *open)
{
	struct pm_str scheme = sdk_opt_str(open, "password_scheme");
	uint32_t cost = (uint32_t)sdk_opt_num(open, "password_cost", 0);
	char *name = sdk_strdup(scheme);
	bool bad = false;

	if (!name)
		return false;
	if (*name && strcmp(name, "keep") != 0) {
		if (!sdk_password_can(name, cost))
			WRONG("password_cost", "%u is no cost of %s", cost, name);
		if (sdk_opt_str(open, "update_password").n == 0)
			WRONG("update_password", "is missing: password_scheme needs it");
	}
	free(name);
	return !bad;
}

int32_t
setup_check(const struct pm_open *open)
{
	const struct sql_driver *d = drivers_find(sdk_opt_str(open, "driver"));
	struct pm_str database = sdk_opt_str(open, "database");
	bool bad = false, remote = false;

	if (!d) {
		sdk_report(open, "driver",
			   "this build has no %.*s; install its library and configure again",
			   (int)sdk_opt_str(open, "driver").n, sdk_opt_str(open, "driver").p);
		return PM_INVALID;
	}
	if (!d->network && (database.n == 0 || database.p[0] != '/'))
		WRONG("database", "'%.*s': expected an absolute file name", (int)database.n,
		      database.p);
	bad = !check_servers(open, d, &remote) || bad;
	bad = (d->network && !check_tls(open, remote)) || bad;
	bad = !check_queries(open, d) || bad;
	bad = !check_scheme(open) || bad;
	return bad ? PM_INVALID : PM_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool
setup_open_servers(struct inst *i, const struct pm_open *open)
{
	const char *labels[SDK_SERVERS_MAX];
	const struct pm_value *v;

	if (!i->driver->network) {
		i->servers[0].label = strdup(i->access.database);
		i->n_servers = 1;
	}
	while (i->driver->network && i->n_servers < SDK_SERVERS_MAX &&
	       (v = sdk_opt(open, "server", (uint32_t)i->n_servers)) != NULL)
		if (!sdk_server_parse(&i->servers[i->n_servers++], v->str, i->driver->port))
			return false;
	for (size_t k = 0; k < i->n_servers; k++)
		labels[k] = i->servers[k].label;
	i->pool = sdk_pool_new(i->host, open->permits > 0 ? open->permits : 1, labels, i->n_servers,
			       i->driver->close);
	return i->pool;
}

static bool
open_queries(struct inst *i, const struct pm_open *open)
{
	char why[WHY];

	for (int k = 0; k < Q_COUNT; k++) {
		struct pm_str text = query_options[k] ? sdk_opt_str(open, query_options[k])
						      : sdk_str("SELECT 1");

		i->queries[k].option = query_options[k] ? query_options[k] : "probe";
		if (text.n > 0 &&
		    !query_parse(&i->queries[k], (enum sql_which)k, i->driver->dialect, text, why))
			return false; /* check() accepted it, so there was no memory */
	}
	return true;
}

static bool
open_access(struct inst *i, const struct pm_open *open)
{
	struct sql_access *a = &i->access;
	struct pm_str scheme = sdk_opt_str(open, "password_scheme");

	a->database = sdk_strdup(sdk_opt_str(open, "database"));
	a->user = sdk_strdup(sdk_opt_str(open, "user"));
	a->password = sdk_strdup(sdk_opt_str(open, "password"));
	a->tls_ca = sdk_strdup(sdk_opt_str(open, "tls_ca"));
	a->tls = sdk_opt_num(open, "tls", 0) == 0;
	if (scheme.n > 0 && !sdk_str_is(scheme, "keep") && !(i->scheme = sdk_strdup(scheme)))
		return false;
	i->scheme_cost = (uint32_t)sdk_opt_num(open, "password_cost", 0);
	if (i->driver->watched && !(a->watch = sdk_watch_new()))
		return false;
	return a->database && a->user && a->password && a->tls_ca;
}

static void
open_numbers(struct inst *i, const struct pm_open *open)
{
	i->connect_ms = sdk_opt_num(open, "connect_timeout", 2000);
	i->query_ms = sdk_opt_num(open, "query_timeout", 3000);
	i->deny_unknown = sdk_opt_num(open, "unknown", 0) == 0;
	i->limits = (struct sdk_password_limits){
		.max_rounds = (uint32_t)sdk_opt_num(open, "max_rounds", 0),
		.max_log_cost = (uint32_t)sdk_opt_num(open, "max_log_cost", 0),
		.max_memory_kib = (uint32_t)sdk_opt_num(open, "max_memory_kib", 0),
		.allow_plain = (uint32_t)sdk_opt_num(open, "allow_plain", 0),
	};
}

void
setup_close(void *inst)
{
	struct inst *i = inst;

	sdk_pool_free(i->pool);
	sdk_watch_free(i->access.watch);
	write_behind_free(i);
	for (int k = 0; k < Q_COUNT; k++)
		query_free(&i->queries[k]);
	for (size_t k = 0; k < i->n_servers; k++)
		sdk_server_free(&i->servers[k]);
	if (i->access.password)
		explicit_bzero(i->access.password, strlen(i->access.password));
	free(i->access.database);
	free(i->access.user);
	free(i->access.password);
	free(i->access.tls_ca);
	free(i->scheme);
	pthread_mutex_destroy(&i->mutex);
	pthread_mutex_destroy(&i->write_behind_mutex);
	explicit_bzero(i->usual, sizeof(i->usual));
	free(i);
}

int32_t
setup_open(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"stamps_dropped", "stamps_refused", NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	pthread_mutex_init(&i->mutex, NULL);
	pthread_mutex_init(&i->write_behind_mutex, NULL);
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->last = &i->stamps;
	i->driver = drivers_find(sdk_opt_str(open, "driver"));
	if (!i->driver) {
		sdk_report(open, "driver", "this build does not have it");
		setup_close(i);
		return PM_UNSUPPORTED;
	}
	i->background = open->purpose == PM_PURPOSE_SERVER;
	if (!open_access(i, open) || !setup_open_servers(i, open) || !open_queries(i, open)) {
		sdk_report(open, "", "no memory, or no thread to watch the time");
		setup_close(i);
		return PM_NOMEM;
	}
	open_numbers(i, open);
	*ret_inst = i;
	return PM_OK;
}
