/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth/ldap - accounts in LDAP directories, on libldap. Passwords are checked by binding as the
 * user, after a search or directly. What is where: settings (options), filter (names into filters
 * and DNs), dial and conn (one connection, every step bounded), pool (pairs of connections, servers
 * up and down), search, account (an entry as a user), state (locked, expired ...), login (all of it
 * together). wire and tls are what lies below a connection.
 */
#include <ldap.h>
#include <stdlib.h>

#include <restante/module.h>

#include "ask.h"
#include "conf.h"
#include "hold.h"
#include "inst.h"
#include "login.h"
#include "pool.h"
#include "search.h"
#include "tls.h"

/* libldap initialises itself at its first call, on one thread; and it must not write to stderr
 * (R8). */
static int32_t
ldap_module_init(void)
{
	LDAPAPIInfo info = {.ldapai_info_version = LDAP_API_INFO_VERSION};
	int quiet = 0;

	if (ldap_get_option(NULL, LDAP_OPT_API_INFO, &info) != LDAP_OPT_SUCCESS)
		return PM_NOMEM;
	ldap_memfree(info.ldapai_vendor_name);
	ldap_memvfree((void **)info.ldapai_extensions);
	(void)ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &quiet);
	return PM_OK;
}

static int32_t
ldap_module_check(const struct pm_open *open)
{
	struct settings *s = calloc(1, sizeof(*s));
	int32_t rc = s ? settings_read(s, open) : PM_NOMEM;

	if (s)
		settings_free(s);
	free(s);
	return rc;
}

static void
ldap_module_close(void *inst)
{
	struct inst *i = inst;

	sdk_pool_free(i->pool);
	if (i->hold)
		hold_fini(i->hold);
	free(i->hold);
	tls_free(i->tls);
	settings_free(&i->set);
	free(i);
}

static int32_t
ldap_module_open(const struct pm_open *open, void **ret_inst)
{
	struct inst *i = calloc(1, sizeof(*i));
	int32_t rc = PM_NOMEM;

	if (!i)
		return rc;
	i->host = open->host;
	rc = settings_read(&i->set, open);
	if (rc == PM_OK) {
		i->pool = pool_new(i, open->permits);
		i->tls = tls_new();
		i->hold = calloc(1, sizeof(*i->hold));
		if (i->hold)
			hold_init(i->hold);
		if (!i->pool || !i->tls || !i->hold)
			rc = PM_NOMEM;
	}
	if (rc == PM_OK)
		*ret_inst = i;
	else
		ldap_module_close(i);
	return rc;
}

static void
ldap_module_retire(void *inst)
{
	struct inst *i = inst;

	sdk_pool_retire(i->pool);
}

/* Is there a server that answers, to our service account too? */
static int32_t
probe_one(struct pair *pair, const struct ask *a, void *ctx)
{
	struct conn *c;
	int32_t rc = pair_search(pair, a, &c);

	(void)ctx;
	return rc == PM_OK ? search_alive(c, a) : rc;
}

static int32_t
ldap_module_probe(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	char why[PM_ERROR_MAX + 1] = "";
	struct ask a = {.inst = i, .call = call, .until_ms = call->deadline_ms, .why = why};

	return pool_each(&a, probe_one, NULL);
}

/* Servers that are down are tried again; a frozen one must not keep the permit for long. */
static int32_t
ldap_module_tick(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	char why[PM_ERROR_MAX + 1] = "";
	struct ask all = {.inst = i, .call = call, .until_ms = call->deadline_ms, .why = why};
	struct ask a = ask_within(&all, i->set.connect_ms < 1000 ? i->set.connect_ms : 1000);

	if (call->flags & PM_CALLF_RELOADED)
		hold_clear(i->hold);
	pool_tend(&a);
	/* PM_OK would tell the breaker that all is well */
	return sdk_pool_any_up(i->pool) ? PM_OK : PM_DOWN;
}

static int32_t
ldap_module_caps(void *inst, uint64_t *ret_kinds)
{
	(void)inst;
	*ret_kinds = 1u << PM_CRED_PASSWORD;
	return PM_OK;
}

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = 2000,
	.global_init = ldap_module_init,
	.check = ldap_module_check,
	.open = ldap_module_open,
	.close = ldap_module_close,
	.retire = ldap_module_retire,
	.probe = ldap_module_probe,
	.tick = ldap_module_tick,
};

static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = ldap_module_caps,
	.verify = login_verify,
	.lookup = login_lookup,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK,
	.name = SDK_STR("ldap"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = settings_options,
	.n_options = SETTINGS_N_OPTIONS,
	.option_stride = sizeof(settings_options[0]),
	.life = &life,
	.auth = &auth,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
