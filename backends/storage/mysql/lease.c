/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease - the exclusive maildrop. Taking it is one statement with a commit of its own; owner is a fresh random
 * value, so that asking again, because the answer was lost, finds its own. fence only grows: with each change of
 * hands and each commit. Nothing is held on a connection.
 */
#include <string.h>

#include "store.h"

void
lease_init(struct lease *l, uint64_t mailbox)
{
	memset(l, 0, sizeof(*l));
	l->mailbox = mailbox;
	random_bytes(l->owner, sizeof(l->owner));
}

int32_t
lease_take(struct db *d, struct inst *i, struct lease *l)
{
	struct db_arg args[] = {DB_S(l->owner, ID), DB_S(server_id(i->server), ID), DB_U(l->mailbox), DB_S(l->owner, ID)};
	struct db_arg mailbox = DB_U(l->mailbox);
	int32_t rc = server_renew(d, i, true);

	if (rc == PM_OK)
		rc = server_pay(d, i->server, l->mailbox);
	for (int k = 0; rc == PM_OK && k < 2; k++) {
		l->asked = true;
		rc = db_exec(d, ST_LEASE_TAKE, args, 4);
		if (rc != PM_OK)
			break;
		if (d->affected == 1) {
			l->fence = d->insert_id;
			return PM_OK;
		}
		l->asked = false;
		rc = db_exec(d, ST_LEASE_MAKE, &mailbox, 1); /* missing: a backup of some tables only */
		if (rc == PM_OK && d->affected == 0)
			break;
	}
	return rc == PM_OK ? PM_BUSY : rc;
}

static int32_t
give(struct db *d, void *arg)
{
	struct lease *l = arg;
	struct db_arg args[] = {DB_U(l->mailbox), DB_S(l->owner, ID)};

	return db_exec(d, ST_LEASE_GIVE, args, 2);
}

void
lease_give(struct inst *i, const struct pm_call *call, struct lease *l)
{
	if (!l->asked)
		return;
	if (db_do(&i->pool, call, 0, give, l) != PM_OK)
		server_owe(i->server, l);
	l->asked = false;
}
