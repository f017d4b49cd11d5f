/* SPDX-License-Identifier: Apache-2.0 */
/* box - mailboxes: their rows, their counters, and the calls about them without a session. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "domain.h"
#include "ids.h"
#include "lease.h"
#include "store.h"

struct pm_str
box_key(const struct pm_user *user)
{
	return user->key.n > 0 ? user->key : user->name;
}

static int32_t
find(struct db *d, enum db_stmt which, struct pm_str key, struct box_row *ret, struct db_col *cols,
     size_t n_cols)
{
	struct db_arg arg = DB_S(key.p, key.n);
	int32_t rc;

	cols[3] = (struct db_col){.p = ret->domain, .cap = sizeof(ret->domain)};
	rc = db_row(d, which, &arg, 1, cols, n_cols);
	ret->id = 0;
	if (rc == PM_END)
		return PM_OK;
	if (rc != PM_OK)
		return rc;
	ret->id = (uint64_t)cols[0].u;
	ret->messages = (uint64_t)cols[1].u;
	ret->octets = (uint64_t)cols[2].u;
	ret->domain_n = cols[3].n;
	return PM_OK;
}

int32_t
box_find(struct db *d, struct pm_str key, struct box_row *ret)
{
	struct db_col cols[4] = {{.p = NULL}};

	return find(d, ST_BOX_FIND, key, ret, cols, 4);
}

int32_t
box_open(struct db *d, struct pm_str key, struct box_row *ret, struct lease *l)
{
	struct db_col cols[5] = {{.p = NULL}};
	int32_t rc = find(d, ST_BOX_OPEN, key, ret, cols, 5);

	if (rc != PM_OK || ret->id == 0)
		return rc;
	lease_init(l, ret->id);
	l->looked = !cols[4].null;
	l->fence = (uint64_t)cols[4].u;
	return PM_OK;
}

int32_t
box_make(struct db *d, struct pm_str key, struct pm_str domain, struct box_row *ret)
{
	char name[DOMAIN_MAX];
	size_t domain_n = domain_key(domain, name);
	struct db_arg args[] = {DB_S(key.p, key.n), DB_S(name, domain_n)};
	int32_t rc = box_find(d, key, ret);

	if (rc != PM_OK || ret->id != 0)
		return rc;
	rc = db_exec(d, ST_BOX_MAKE, args, 2);
	if (rc != PM_OK) {
		struct db_fail made = d->fail;

		if (made.lost || box_find(d, key, ret) != PM_OK || ret->id == 0) {
			d->fail = made;
			return rc;
		}
		memset(&d->fail, 0, sizeof(d->fail)); /* another process made the row first */
		return PM_OK;
	}
	*ret = (struct box_row){.id = d->insert_id, .domain_n = domain_n};
	if (domain_n > 0)
		memcpy(ret->domain, name, domain_n);
	args[0] = DB_U(ret->id);
	return db_exec(d, ST_LEASE_MAKE, args, 1);
}

/* ---- counters -------------------------------------------------------------------------------- */

static int32_t
domain_add(struct db *d, const struct box_row *box, int64_t messages, int64_t octets)
{
	struct db_arg args[] = {DB_S(box->domain, box->domain_n), DB_U(box->id & 15),
				DB_I(messages), DB_I(octets)};

	return box->domain_n == 0 || (messages == 0 && octets == 0)
		       ? PM_OK
		       : db_exec(d, ST_DOMAIN_ADD, args, 4);
}

/* Counts a mailbox again. Its row is locked meanwhile, so that no delivery counts itself in
 * between; the domain gets the difference. */
int32_t
box_recount(struct db *d, const struct box_row *box)
{
	struct db_arg id = DB_U(box->id), set[5];
	char name[DOMAIN_MAX];
	struct db_col was[3] = {[2] = {.p = name, .cap = sizeof(name)}}, is[4] = {{.p = NULL}};
	int32_t rc = db_row(d, ST_BOX_LOCK, &id, 1, was, 3);

	if (rc == PM_OK)
		rc = db_row(d, ST_BOX_COUNT, &id, 1, is, 4);
	if (rc != PM_OK)
		return rc == PM_END ? PM_OK : rc;
	set[0] = DB_U(is[0].u - is[2].u);
	set[1] = DB_U(is[1].u - is[3].u);
	set[2] = DB_U(is[2].u);
	set[3] = DB_U(is[3].u);
	set[4] = id;
	rc = db_exec(d, ST_BOX_SET, set, 5);
	return rc == PM_OK ? domain_add(d, box, set[0].u - was[0].u, set[1].u - was[1].u) : rc;
}

int32_t
box_subtract(struct db *d, const struct box_row *box, uint64_t messages, uint64_t octets)
{
	struct db_arg args[] = {DB_U(messages), DB_U(octets), DB_U(box->id), DB_U(messages),
				DB_U(octets)};
	int32_t rc = messages > 0 ? db_exec(d, ST_BOX_SUB, args, 5) : PM_OK;

	if (rc != PM_OK || messages == 0)
		return rc;
	return d->affected == 0 ? box_recount(d, box)
				: domain_add(d, box, -(int64_t)messages, -(int64_t)octets);
}

int32_t
box_hidden(struct db *d, const struct box_row *box, int64_t messages, int64_t octets)
{
	struct db_arg args[] = {DB_I(messages), DB_I(octets), DB_U(box->id)};

	return db_exec(d, ST_BOX_HIDDEN, args, 3);
}

/* ---- from outside ---------------------------------------------------------------------------- */

/* Writes only the part that lies inside the caller's record (R1). */
static void
box_hand_out(void *record, const void *full, size_t n)
{
	uint32_t size;

	memcpy(&size, record, sizeof(size));
	memcpy(record, full, size < n ? size : n);
}

struct listing {
	uint64_t after;
	size_t n, stride, got;
	struct pm_box *ret;
};

static int32_t
list(struct db *d, void *arg)
{
	struct listing *l = arg;
	struct pm_box x;
	struct db_arg args[] = {DB_U(l->after), DB_U(l->n)};
	struct db_col cols[2] = {[1] = {.p = x.key, .cap = sizeof(x.key)}};
	int32_t rc = db_select(d, ST_BOX_LIST, args, 2, cols, 2);

	l->got = 0;
	while (rc == PM_OK && l->got < l->n) {
		char *record = (char *)l->ret + l->got * l->stride;

		memset(&x, 0, sizeof(x));
		rc = db_next(d, ST_BOX_LIST);
		if (rc != PM_OK)
			break;
		memcpy(&x.size, record, sizeof(x.size));
		x.key_len = (uint32_t)cols[1].n;
		x.cursor_len = (uint32_t)snprintf(x.cursor, sizeof(x.cursor), "%lld",
						  (long long)cols[0].u);
		box_hand_out(record, &x, sizeof(x));
		l->got++;
	}
	db_end(d, ST_BOX_LIST);
	return rc == PM_END ? PM_OK : rc;
}

static bool
box_read_cursor(struct pm_str cursor, uint64_t *ret)
{
	*ret = 0;
	if (cursor.n > 18)
		return false;
	for (size_t k = 0; k < cursor.n; k++) {
		if (cursor.p[k] < '0' || cursor.p[k] > '9')
			return false;
		*ret = *ret * 10 + (uint64_t)(cursor.p[k] - '0');
	}
	return true;
}

int32_t
box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
	 struct pm_box *ret, size_t *ret_got)
{
	struct inst *i = inst;
	struct listing l = {.n = n < BATCH ? n : BATCH, .stride = stride, .ret = ret};
	int32_t rc;

	if (!box_read_cursor(cursor, &l.after))
		return PM_INVALID;
	rc = db_do(&i->pool, call, 0, list, &l);
	if (rc == PM_OK)
		*ret_got = l.got;
	return rc;
}

struct asking {
	struct pm_str key;
	struct pm_stat stat;
};

static int32_t
stat_row(struct db *d, void *arg)
{
	struct asking *a = arg;
	struct db_arg key = DB_S(a->key.p, a->key.n);
	struct db_col cols[5] = {[4] = {.is_signed = true}};
	int32_t rc = db_row(d, ST_BOX_STAT, &key, 1, cols, 5);

	if (rc != PM_OK)
		return rc == PM_END ? PM_NOENT : rc;
	a->stat.count = (uint64_t)cols[0].u;
	a->stat.octets = (uint64_t)cols[1].u;
	a->stat.hidden = (uint64_t)cols[2].u;
	a->stat.hidden_octets = (uint64_t)cols[3].u;
	a->stat.last_delivery_ms = cols[4].u;
	return PM_OK;
}

/* Corrects the counters first, those of the domain too. */
static int32_t
stat_anew(struct db *d, void *arg)
{
	struct asking *a = arg;
	struct box_row box;
	int32_t rc = box_find(d, a->key, &box);

	if (rc == PM_OK && box.id == 0)
		return PM_NOENT;
	if (rc == PM_OK)
		rc = db_begin(d);
	if (rc == PM_OK)
		rc = box_recount(d, &box);
	if (rc == PM_OK)
		rc = stat_row(d, arg);
	return rc == PM_OK ? db_commit(d) : db_rollback(d, rc);
}

int32_t
box_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
	 struct pm_stat *ret_stat)
{
	struct inst *i = inst;
	struct asking a = {.key = box_key(user), .stat = {.size = ret_stat->size}};
	bool anew = (call->flags & PM_CALLF_RECOUNT) != 0;
	int32_t rc = db_do(&i->pool, call, anew ? INT32_MAX : 0, anew ? stat_anew : stat_row, &a);

	if (rc == PM_OK)
		box_hand_out(ret_stat, &a.stat, sizeof(a.stat));
	return rc;
}

struct placing {
	int64_t made;
	size_t name_n;
	char name[DATABASE_MAX];
};

static int32_t
place_row(struct db *d, void *arg)
{
	struct placing *p = arg;
	struct db_col cols[2] = {{.is_signed = true}, {.p = p->name, .cap = sizeof(p->name)}};
	int32_t rc = db_row(d, ST_PLACE, NULL, 0, cols, 2);

	p->made = cols[0].u;
	p->name_n = cols[1].n;
	return rc == PM_END ? db_say(d, PM_TEMP, "there is nothing in table mail_version") : rc;
}

int32_t
box_place(void *inst, const struct pm_call *call, const struct pm_user *user,
	  struct pm_str *ret_place)
{
	struct inst *i = inst;
	struct pm_str key = box_key(user);
	struct placing p = {0};
	char text[PM_PLACE_MAX];
	int n;
	int32_t rc = db_do(&i->pool, call, 0, place_row, &p);

	if (rc != PM_OK)
		return rc;
	n = snprintf(text, sizeof(text), "mysql:%lld:%.*s/%.*s", (long long)p.made, (int)p.name_n,
		     p.name, (int)key.n, key.p);
	*ret_place = sdk_call_dup(call, text, (size_t)n);
	return ret_place->p ? PM_OK : PM_NOMEM;
}

/* ---- removal --------------------------------------------------------------------------------- */

struct removal {
	struct inst *inst;
	struct pm_str key;
	struct lease lease;
	bool gone; /* the commit was sent, so if the row is gone, we removed it */
};

/* Removes the rows of a mailbox. Deliveries change the mailbox's row last: while it is locked here,
 * none slips in between. */
static int32_t
remove_rows(struct db *d, struct removal *r, const struct box_row *box)
{
	struct db_arg id = DB_U(box->id);
	struct db_arg lease[] = {DB_U(box->id), DB_S(r->lease.owner, ID), DB_U(r->lease.fence)};
	struct db_col cols[3] = {[2] = {.p = (char[DOMAIN_MAX]){0}, .cap = DOMAIN_MAX}};
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = db_row(d, ST_BOX_LOCK, &id, 1, cols, 3);
	if (rc == PM_OK)
		rc = db_exec(d, ST_LEASE_DELETE, lease, 3);
	if (rc == PM_OK && d->affected != 1)
		return db_rollback(d, PM_BUSY);
	if (rc == PM_OK)
		rc = db_exec(d, ST_BOX_BURY, &id, 1);
	if (rc == PM_OK)
		rc = db_exec(d, ST_BOX_EMPTY, &id, 1);
	if (rc == PM_OK)
		rc = domain_add(d, box, -cols[0].u, -cols[1].u);
	if (rc == PM_OK)
		rc = db_exec(d, ST_BOX_DELETE, &id, 1);
	if (rc != PM_OK)
		return db_rollback(d, rc == PM_END ? PM_NOENT : rc);
	r->gone = true;
	return db_commit(d);
}

static int32_t
remove_box(struct db *d, void *arg)
{
	struct removal *r = arg;
	struct box_row box;
	int32_t rc = box_find(d, r->key, &box);

	if (rc != PM_OK)
		return rc;
	if (box.id == 0)
		return r->gone ? PM_OK : PM_NOENT;
	r->gone = false;
	r->lease.mailbox = box.id;
	rc = lease_take(d, r->inst, &r->lease);
	return rc == PM_OK ? remove_rows(d, r, &box) : rc;
}

int32_t
box_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	struct removal r = {.inst = inst, .key = box_key(user)};
	int32_t rc;

	lease_init(&r.lease, 0);
	rc = db_do(&r.inst->pool, call, INT32_MAX, remove_box, &r);
	if (rc != PM_OK && rc != PM_NOENT)
		lease_give(r.inst, call, &r.lease);
	return rc == PM_OK || !r.gone ? rc : PM_UNKNOWN;
}
