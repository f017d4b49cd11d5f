/* SPDX-License-Identifier: Apache-2.0 */
/* domain - the totals of a domain's mailboxes: 16 rows, each of the mailboxes whose id ends in its
 * number (slot). They are changed in the transactions that change a mailbox, after its row. */
#include "domain.h"

#include <string.h>

#include "box.h"
#include "db.h"
#include "store.h"

#define SLOTS 16

struct asking {
	struct pm_str domain;
	struct pm_stat stat;
};

size_t
domain_key(struct pm_str domain, char to[DOMAIN_MAX])
{
	size_t n = domain.n < DOMAIN_MAX ? domain.n : DOMAIN_MAX;

	for (size_t k = 0; k < n; k++) {
		char c = domain.p[k];

		to[k] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return n;
}

static int32_t
domain_look(struct db *d, void *arg)
{
	struct asking *a = arg;
	struct db_arg key = DB_S(a->domain.p, a->domain.n);
	struct db_col sums[2] = {{.p = NULL}};
	int32_t rc = db_row(d, ST_DOMAIN_SUM, &key, 1, sums, 2);

	a->stat.count = (uint64_t)sums[0].u;
	a->stat.octets = (uint64_t)sums[1].u;
	return rc;
}

/* Locks a slot's row. PM_END: there is none, and none is needed, since its mailboxes hold nothing.
 */
static int32_t
domain_lock(struct db *d, const struct db_arg *key)
{
	struct db_col sums[2] = {{.p = NULL}};
	int32_t rc = db_row(d, ST_DOMAIN_BOXES, key, 2, sums, 2);

	if (rc != PM_OK)
		return rc;
	return sums[0].u > 0 ? db_exec(d, ST_DOMAIN_ADD, key, 4)
			     : db_row(d, ST_DOMAIN_LOCK, key, 2, sums, 1);
}

/* A transaction that changes a mailbox locks the row of its slot last and keeps it until the
 * commit. So while that row is locked here, each change is either visible in its mailbox' row, or
 * still to come to both. */
static int32_t
domain_mend(struct db *d, const struct asking *a, uint64_t slot)
{
	struct db_arg key[] = {DB_S(a->domain.p, a->domain.n), DB_U(slot), DB_U(0), DB_U(0)};
	struct db_arg set[] = {DB_U(0), DB_U(0), key[0], key[1]};
	struct db_col sums[2] = {{.p = NULL}};
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = domain_lock(d, key);
	if (rc == PM_OK)
		rc = db_row(d, ST_DOMAIN_BOXES, key, 2, sums, 2);
	set[0] = DB_U(sums[0].u);
	set[1] = DB_U(sums[1].u);
	if (rc == PM_OK)
		rc = db_exec(d, ST_DOMAIN_SET, set, 4);
	if (rc != PM_OK)
		return db_rollback(d, rc == PM_END ? PM_OK : rc);
	return db_commit(d);
}

static int32_t
look_anew(struct db *d, void *arg)
{
	int32_t rc = PM_OK;

	for (uint64_t slot = 0; rc == PM_OK && slot < SLOTS; slot++)
		rc = domain_mend(d, arg, slot);
	return rc == PM_OK ? domain_look(d, arg) : rc;
}

int32_t
domain_stat(void *inst, const struct pm_call *call, struct pm_str domain, struct pm_stat *ret_stat)
{
	struct inst *i = inst;
	char key[DOMAIN_MAX];
	struct asking a = {.domain = {key, domain_key(domain, key)},
			   .stat = {.size = ret_stat->size}};
	bool anew = (call->flags & PM_CALLF_RECOUNT) != 0;
	int32_t rc = PM_INVALID;

	if (domain.n > 0 && domain.n < DOMAIN_MAX)
		rc = db_do(&i->pool, call, anew ? INT32_MAX : 0, anew ? look_anew : domain_look,
			   &a);
	if (rc == PM_OK)
		memcpy(ret_stat, &a.stat,
		       a.stat.size < sizeof(a.stat) ? a.stat.size : sizeof(a.stat));
	return rc;
}
