/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "account/chain.h"

#define DAY_MS INT64_C(86400000)

static const struct conf_domain *
retention_domain_of(const struct conf *c, const struct pm_user *u)
{
	const char *at = u->name.n > 0 ? memrchr(u->name.p, '@', u->name.n) : NULL;

	if (u->domain.n > 0)
		return conf_domain(c, u->domain.p, u->domain.n);
	return at ? conf_domain(c, at + 1, (size_t)(u->name.p + u->name.n - at) - 1) : NULL;
}

static int32_t
retention_pick(int32_t user, int32_t domain, int32_t site)
{
	return user != PM_EXPIRE_SITE ? user : domain != PM_EXPIRE_SITE ? domain : site;
}

void
retention_of(const struct conf *c, const struct pm_user *u, struct retention *ret)
{
	const struct conf_domain *d = retention_domain_of(c, u);

	ret->expire_days = retention_pick(
		u->expire_days, d ? d->limits.expire_days : PM_EXPIRE_SITE, c->site.expire_days);
	ret->undo_days = retention_pick(u->undo_days, d ? d->limits.undo_days : PM_EXPIRE_SITE,
					c->site.undo_days);
	if (ret->expire_days < 0)
		ret->expire_days = PM_EXPIRE_CLIENT; /* whatever a directory gives */
	if (ret->undo_days < 0)
		ret->undo_days = 0;
}

bool
retention_fit(struct retention *r, bool can_mark, bool can_hide)
{
	bool fits = true;

	if (r->expire_days > 0 && !can_mark) {
		r->expire_days = PM_EXPIRE_CLIENT;
		fits = false;
	}
	if (r->undo_days > 0 && !can_hide) {
		r->undo_days = 0;
		fits = false;
	}
	return fits;
}

bool
retention_wants_dates(const struct retention *r, const struct pm_user *u)
{
	return r->expire_days > 0 && u->rights & PM_RIGHT_DELETE;
}

bool
retention_on_retrieval(const struct retention *r, const struct pm_user *u)
{
	return r->expire_days == 0 && u->rights & PM_RIGHT_DELETE;
}

bool
retention_due(const struct retention *r, int64_t first_retrieved_ms, int64_t received_ms,
	      int64_t now_ms)
{
	int64_t first = first_retrieved_ms > received_ms ? first_retrieved_ms : received_ms;

	return r->expire_days > 0 && first_retrieved_ms > 0 && now_ms > 0 &&
	       now_ms - first >= r->expire_days * DAY_MS;
}

int64_t
retention_keep_until(const struct retention *r, bool can_hide, int64_t now_ms)
{
	return r->undo_days > 0 && can_hide ? now_ms + r->undo_days * DAY_MS : 0;
}

/* ---- CAPA ------------------------------------------------------------------------------------ */

/* The rank of restriction: 0 days, N days, never. */
static int32_t
retention_stricter(int32_t a, int32_t b)
{
	if (a == PM_EXPIRE_CLIENT)
		return b;
	return b == PM_EXPIRE_CLIENT || a < b ? a : b;
}

bool
retention_capa(const struct conf *c, const struct pm_user *u, char *ret, size_t cap)
{
	int32_t days = c->site.expire_days;
	bool differ = false, any = days != PM_EXPIRE_CLIENT;
	struct retention r;

	if (u) {
		retention_of(c, u, &r);
		days = u->rights & PM_RIGHT_DELETE ? r.expire_days : PM_EXPIRE_CLIENT;
	}
	for (size_t i = 0; i < c->n_domain_blocks; i++) {
		int32_t d = c->domains[i].limits.expire_days;

		if (d == PM_EXPIRE_SITE)
			continue;
		any = any || d != PM_EXPIRE_CLIENT;
		if (u)
			continue;
		differ = differ || d != c->site.expire_days;
		days = retention_stricter(days, d);
	}
	if (days == PM_EXPIRE_CLIENT) {
		/* a site that never set it makes no promise; but a user of a site that did gets his
		 * answer */
		if (!u || !any)
			return false;
		snprintf(ret, cap, "NEVER");
		return true;
	}
	snprintf(ret, cap, "%" PRId32 "%s", days, differ ? " USER" : "");
	return true;
}

/* ---- the configuration ----------------------------------------------------------------------- */

struct checker {
	const struct conf *c;
	const struct conf_section *storage;
	uint32_t flags;
	struct conf_errors *e;
};

static void
check_limits(const struct checker *k, const struct conf_where *w, const char *who,
	     const struct conf_limits *l)
{
	if (l->expire_days > 0 && !(k->flags & PM_F_CAN_MARK))
		conf_error(k->e, w,
			   "%sexpire = %" PRId32
			   ": storage section %s does not remember when a message was "
			   "retrieved; use expire = client or 0, or another store",
			   who, l->expire_days, k->storage->name);
	if (l->undo_days > 0 && !(k->flags & PM_F_CAN_HIDE))
		conf_error(k->e, w,
			   "%sundo = %" PRId32
			   ": storage section %s cannot bring deleted mail back; use undo = 0, "
			   "or another store",
			   who, l->undo_days, k->storage->name);
}

/* Has this store users of the domain? The auth sections that are asked about them decide. */
static bool
retention_holds(const struct checker *k, const char *domain)
{
	char name[300];

	snprintf(name, sizeof(name), "x@%s", domain);
	for (int i = chain_next(k->c, name, 0); i >= 0; i = chain_next(k->c, name, i + 1))
		if (chain_storage(k->c, &k->c->auth[i], NULL, 0) == k->storage)
			return true;
	return false;
}

void
retention_check(const struct conf *c, const struct conf_section *storage, uint32_t flags,
		struct conf_errors *e)
{
	const struct checker k = {c, storage, flags, e};
	const struct conf_where top = {c->file, 1, 1};
	char who[300];

	check_limits(&k, &top, "", &c->site);
	for (size_t i = 0; i < c->n_domain_blocks; i++) {
		snprintf(who, sizeof(who), "domain %s: ", c->domains[i].name);
		if (retention_holds(&k, c->domains[i].name))
			check_limits(&k, &c->domains[i].where, who, &c->domains[i].limits);
	}
}
