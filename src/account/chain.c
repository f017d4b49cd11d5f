/* SPDX-License-Identifier: Apache-2.0 */
#include "account/chain.h"

#include <string.h>

#include <restante/module.h>

#include "base/utf8.h"
#include "conf/domain.h"

static void
chain_lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
}

bool
chain_name(const struct conf *c, const char *raw, size_t n, char *ret_name)
{
	const char *domain = c->default_domain;
	size_t extra = 0, local;
	const char *at;

	if (!utf8_is_text(raw, n))
		return false;
	at = n > 0 ? memrchr(raw, '@', n) : NULL;
	if (!at && domain)
		extra = strlen(domain) + 1;
	if (n == 0 || n + extra > PM_NAME_MAX || at == raw)
		return false;
	memcpy(ret_name, raw, n);
	if (extra > 0) {
		ret_name[n] = '@';
		memcpy(ret_name + n + 1, domain, extra - 1);
	}
	ret_name[n + extra] = '\0';
	local = at ? (size_t)(at - raw) : n;
	if (c->name_case == CONF_CASE_LOWER)
		chain_lower(ret_name, local);
	chain_lower(ret_name + local, n + extra - local);
	return true;
}

bool
chain_fits(const struct conf_section *s, const char *name)
{
	const char *at = strrchr(name, '@');

	if (s->only_wrapped)
		return false;
	if (s->n_domains == 0)
		return true;
	for (size_t i = 0; at && i < s->n_domains; i++)
		if (conf_domain_fits(s->domains[i], at + 1))
			return true;
	return false;
}

int
chain_next(const struct conf *c, const char *name, int from)
{
	for (size_t i = (size_t)from; i < c->n_auth; i++)
		if (chain_fits(&c->auth[i], name))
			return (int)i;
	return -1;
}

const char *
chain_lacks(const struct pm_user *u, int64_t wall_ms)
{
	if (u->state == PM_USER_DISABLED)
		return "account is disabled";
	if (u->state == PM_USER_EXPIRED || (u->valid_until_ms != 0 && u->valid_until_ms < wall_ms))
		return "account is expired";
	if (u->state == PM_USER_MUST_CHANGE)
		return "password must be changed";
	if (u->state != PM_USER_ENABLED)
		return "account is not enabled";
	return u->rights & PM_RIGHT_POP3 ? NULL : "account has no right to POP3";
}

struct conf_section *
chain_storage(const struct conf *c, const struct conf_section *auth, const char *section, size_t n)
{
	const char *wanted = n > 0 ? section : auth->storage;
	size_t len = n > 0 ? n : wanted ? strlen(wanted) : 0;

	for (size_t i = 0; i < c->n_storage; i++) {
		struct conf_section *s = &c->storage[i];

		if (s->only_wrapped || s->for_undo)
			continue;
		if (!wanted || (strlen(s->name) == len && memcmp(s->name, wanted, len) == 0))
			return s;
	}
	return NULL;
}
