/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease - the exclusive maildrop. It is taken by one statement with a commit of its own, which
 * works for one value of fence only. owner is a fresh random value, so that a second look, after an
 * answer was lost, finds its own lease. fence only grows: with each change of hands and each
 * commit. Nothing is held on a connection.
 *
 * A statement whose answer was lost may still be done much later: a frozen server reads the bytes
 * in its socket when it goes on, and a Galera node may repeat it once it is back. So a session that
 * gives up raises fence: the statement then finds another value, and a maildrop never comes to
 * belong to a session that is gone.
 */
#include "lease.h"

#include <string.h>

#include "db.h"
#include "ids.h"
#include "process.h"
#include "store.h"

#define TRIES 4

void
lease_init(struct lease *l, uint64_t mailbox)
{
	memset(l, 0, sizeof(*l));
	l->mailbox = mailbox;
	ids_random(l->owner, sizeof(l->owner));
}

/* Looks at the lease. PM_OK: it is ours already (held), or free; PM_BUSY. */
static int32_t
lease_look(struct db *d, struct lease *l)
{
	struct db_arg args[] = {DB_S(l->owner, ID), DB_U(l->mailbox)}, mailbox = DB_U(l->mailbox);
	struct db_col cols[3] = {{.p = NULL}};
	int32_t rc = db_row(d, ST_LEASE_STATE, args, 2, cols, 3);

	if (rc == PM_END) { /* missing: somebody restored a backup of some tables only */
		rc = db_exec(d, ST_LEASE_MAKE, &mailbox, 1);
		cols[2].u = 1;
	}
	if (rc != PM_OK)
		return rc;
	l->fence = (uint64_t)cols[0].u;
	l->looked = true;
	l->held = cols[1].u != 0;
	return l->held || cols[2].u ? PM_OK : PM_BUSY;
}

/* Makes sure of a lease that is ours as far as this server knows. A node that was frozen may not
 * have noticed yet that the others have gone on without it, and answers reads from its old state,
 * even those that should wait for the others. A write finds that out. */
static int32_t
lease_confirm(struct db *d, struct lease *l)
{
	struct db_arg args[] = {DB_U(l->mailbox), DB_S(l->owner, ID), DB_U(l->fence)};
	int32_t rc = db_exec(d, ST_LEASE_FENCE, args, 3);

	l->held = rc == PM_OK && d->affected == 1;
	l->looked = false;
	if (l->held)
		l->fence++;
	return rc == PM_OK && !l->held ? PM_BUSY : rc;
}

int32_t
lease_take(struct db *d, struct inst *i, struct lease *l)
{
	int32_t rc = process_renew(d, i, true);
	bool before;

	if (rc == PM_OK)
		rc = process_pay(d, i->process, l->mailbox);
	if (l->held)
		l->held = l->looked = false; /* it may be ours no longer */
	for (int k = 0; rc == PM_OK && k < TRIES; k++) {
		struct db_arg args[] = {DB_S(l->owner, ID), DB_S(process_id(i->process), ID),
					DB_U(l->mailbox), DB_U(l->fence)};

		if (!l->looked) {
			rc = lease_look(d, l);
			if (rc != PM_OK)
				return rc;
			if (l->held)
				return lease_confirm(d, l);
			args[3] = DB_U(l->fence);
		}
		before = l->asked;
		l->looked = false;
		l->asked = true;
		rc = db_exec(d, ST_LEASE_TAKE, args, 4);
		if (rc == PM_OK && d->affected == 1) {
			l->fence++;
			l->held = true;
			return PM_OK;
		}
		if (rc == PM_OK)
			l->asked = before; /* it was refused, so there is nothing to give back */
	}
	return rc == PM_OK ? PM_BUSY : rc;
}

int32_t
lease_drop(struct db *d, uint64_t mailbox, const uint8_t *owner, uint64_t fence)
{
	struct db_arg args[] = {DB_U(mailbox), DB_S(owner, ID), DB_U(fence)};
	int32_t rc = db_exec(d, ST_LEASE_GIVE, args, 3);

	/* There is no such row here: another session has it, or this node does not know yet that it
	 * is ours (wsrep_sync_wait makes reads wait, not updates), and it would stay locked as long
	 * as this server lives. */
	if (rc == PM_OK && d->affected == 0) {
		rc = d->pool->settle(d);
		if (rc == PM_OK)
			rc = db_exec(d, ST_LEASE_GIVE, args, 3);
	}
	return rc;
}

static int32_t
give(struct db *d, void *arg)
{
	const struct lease *l = arg;

	return lease_drop(d, l->mailbox, l->owner, l->fence);
}

void
lease_give(struct inst *i, const struct pm_call *call, struct lease *l)
{
	if (!l->asked)
		return;
	if (db_do(&i->pool, call, 0, give, l) != PM_OK)
		process_owe(i->process, l);
	l->asked = l->held = false;
}
