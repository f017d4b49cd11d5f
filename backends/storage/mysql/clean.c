/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean - the tick renews this server's row, pays leases it owes, and removes hidden messages whose
 * time is over, abandoned deliveries, bodies that no message names any more, and old imports. One
 * server at a time cleans: it holds the lease of mailbox 0. Looking costs four statements; the
 * lease is taken only when there is work.
 *
 * A body is named by the messages of one transaction, never by later ones. So once no message names
 * it, none ever will, on any node that knows of the deletion: no counting of references, and no
 * lock.
 */
#include "clean.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "commit.h"
#include "db.h"
#include "greet.h"
#include "ids.h"
#include "lease.h"
#include "process.h"
#include "say.h"
#include "store.h"

#define GARBAGE_MAX 200 /* rows of mail_garbage in one transaction */
#define CHUNKS_MAX 256  /* pieces in one transaction: 16 MiB */
#define IMPORT_DAYS 30  /* as PM_DLVF_IMPORT promises */

/* expired: mailbox, pos, octets, hidden until; garbage: body, mailbox, pos, whether a message names
 * the body. */
struct row {
	uint64_t a, b, c, d;
	bool done; /* expired, the first row of a mailbox: its rows of this page are gone */
};

struct cleaning {
	struct inst *i;
	const struct pm_call *call;
	struct lease lease; /* of mailbox 0 */
	struct row rows[BATCH];
	size_t n;
	int64_t until_ms;    /* of this slice */
	bool more;           /* something was done, so there may be more */
	struct db_fail fail; /* the first of those that were passed over */
};

/* Reads the rows of a statement whose columns are three or four numbers, or one. */
static int32_t
clean_list(struct db *d, struct cleaning *c, enum db_stmt which, const struct db_arg *args,
	   size_t n_args, size_t n_cols)
{
	struct db_col cols[4] = {{.p = NULL}};
	int32_t rc = db_select(d, which, args, n_args, cols, n_cols);

	c->n = 0;
	while (rc == PM_OK && (rc = db_next(d, which)) == PM_OK)
		if (c->n < BATCH)
			c->rows[c->n++] =
				(struct row){(uint64_t)cols[0].u, (uint64_t)cols[1].u,
					     (uint64_t)cols[2].u, (uint64_t)cols[3].u, false};
	db_end(d, which);
	return rc == PM_END ? PM_OK : rc;
}

static bool
clean_late(const struct cleaning *c)
{
	const struct pm_host *host = c->i->host;

	return host->now_ms(host->ctx) >= c->until_ms;
}

/* Passes over a failure that is of some rows only, so that the rest is done; it is reported at the
 * end. One that would meet the rest as well ends the work. */
static int32_t
clean_pass(struct db *d, struct cleaning *c, int32_t rc, uint64_t mailbox)
{
	if (rc == PM_OK || d->fail.lost || d->fail.again || d->fail.readonly || rc == PM_NOSPACE ||
	    rc == PM_NOMEM || rc == PM_BUSY)
		return rc;
	if (c->fail.rc == PM_OK) {
		c->fail = d->fail;
		if (mailbox != 0)
			snprintf(c->fail.text, sizeof(c->fail.text), "mailbox %llu: %.150s",
				 (unsigned long long)mailbox, d->fail.text);
	}
	memset(&d->fail, 0, sizeof(d->fail));
	return PM_OK;
}

/* Takes the background's lease, once in a slice. PM_BUSY: another server is cleaning. */
static int32_t
clean_alone(struct db *d, struct cleaning *c)
{
	return c->lease.held ? PM_OK : lease_take(d, c->i, &c->lease);
}

/* ---- hidden messages ------------------------------------------------------------------------- */

/* This host's clock. The database's may be ahead, and what is removed by it is gone: whatever waits
 * for its time does so by both. */
static uint64_t
clean_now_us(const struct cleaning *c)
{
	int64_t ms = c->i->host->wall_ms(c->i->host->ctx);

	return ms < 0 ? 0 : (uint64_t)ms * 1000;
}

/* Removes these messages, unless they are hidden for longer now. */
static int32_t
clean_bury(struct db *d, const struct cleaning *c, uint64_t mailbox, const uint64_t *pos, size_t n,
	   uint64_t *ret_n)
{
	char and[160];

	snprintf(and, sizeof(and),
		 " AND hidden_until < LEAST(UTC_TIMESTAMP(6), TIMESTAMP'1970-01-01 00:00:00' +"
		 " INTERVAL %llu MICROSECOND)",
		 (unsigned long long)clean_now_us(c));
	return commit_bury(d, and, mailbox, pos, n, ret_n);
}

/* The rows of this mailbox in the page. */
static size_t
expire_pick(const struct cleaning *c, uint64_t mailbox, uint64_t *pos, uint64_t *ret_octets)
{
	size_t n = 0;

	*ret_octets = 0;
	for (size_t k = 0; k < c->n; k++)
		if (c->rows[k].a == mailbox) {
			pos[n++] = c->rows[k].b;
			*ret_octets += c->rows[k].c;
		}
	return n;
}

/* Removes the hidden messages of a mailbox, which is locked as by a session. A message that was
 * restored meanwhile stays. */
static int32_t
expire_rows(struct db *d, struct cleaning *c, const struct box_row *box, const struct lease *l)
{
	struct db_arg fence[] = {DB_U(box->id), DB_S(l->owner, ID), DB_U(l->fence)};
	uint64_t pos[BATCH], octets, gone = 0;
	size_t n = expire_pick(c, box->id, pos, &octets);
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = db_exec(d, ST_LEASE_FENCE, fence, 3);
	if (rc == PM_OK && d->affected != 1)
		/* another server took over: left for the next round */
		return db_rollback(d, PM_BUSY);
	if (rc == PM_OK)
		rc = clean_bury(d, c, box->id, pos, n, &gone);
	if (rc == PM_OK)
		rc = gone == n ? box_hidden(d, box, -(int64_t)n, -(int64_t)octets)
			       : box_recount(d, box);
	return rc == PM_OK ? db_commit(d) : db_rollback(d, rc);
}

/* Removes hidden messages whose mailbox has no row: some tables were restored without the others.
 * Nobody can have them open, and nothing counts them. */
static int32_t
expire_orphans(struct db *d, const struct cleaning *c, uint64_t mailbox)
{
	uint64_t pos[BATCH], octets, gone;
	size_t n = expire_pick(c, mailbox, pos, &octets);
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = clean_bury(d, c, mailbox, pos, n, &gone);
	return rc == PM_OK ? db_commit(d) : db_rollback(d, rc);
}

/* Expires what the page has of one mailbox. PM_BUSY: a session has it, so it is left until that
 * ends. */
static int32_t
expire_box(struct db *d, struct cleaning *c, uint64_t mailbox)
{
	struct lease l;
	struct box_row box = {.id = mailbox};
	struct db_arg id = DB_U(mailbox);
	struct db_col cols[3] = {[2] = {.p = box.domain, .cap = sizeof(box.domain)}};
	int32_t rc = db_row_sure(d, ST_BOX_LOCK, &id, 1, cols, 3);

	box.domain_n = cols[2].n;
	if (rc == PM_END)
		return expire_orphans(d, c, mailbox);
	if (rc != PM_OK)
		return rc;
	lease_init(&l, mailbox);
	rc = lease_take(d, c->i, &l);
	if (rc == PM_OK)
		rc = expire_rows(d, c, &box, &l);
	if (l.asked && (d->fail.lost || lease_drop(d, l.mailbox, l.owner, l.fence) != PM_OK))
		process_owe(c->i->process, &l);
	return rc;
}

/* The first row of a mailbox in the page. */
static size_t
expire_first(const struct cleaning *c, uint64_t mailbox)
{
	size_t k = 0;

	while (k < c->n && c->rows[k].a != mailbox)
		k++;
	return k;
}

/* The next mailbox of the page that was not tried yet; n when there is none. */
static size_t
expire_next(const struct cleaning *c, size_t k)
{
	while (k < c->n && expire_first(c, c->rows[k].a) != k)
		k++;
	return k;
}

/* Works on a page of hidden messages whose time is over. The place in the list is noted before each
 * mailbox, so that one that is in use, cannot be removed or takes too long holds up none of the
 * others. It is the instance's, since a slice may end long before the list. */
static int32_t
clean_expire(struct db *d, struct cleaning *c)
{
	struct expiry_place *at = &c->i->expired;
	struct db_arg args[] = {DB_U(clean_now_us(c)), DB_U(at->hidden_us), DB_U(at->hidden_us),
				DB_U(at->mailbox), DB_U(BATCH)};
	int32_t rc = clean_list(d, c, ST_EXPIRED, args, 5, 4), last;
	struct row end;

	if (rc != PM_OK || c->n == 0) {
		*at = rc == PM_OK ? (struct expiry_place){0} : *at;
		return rc;
	}
	end = c->rows[c->n - 1];
	rc = clean_alone(d, c);
	for (size_t k = expire_next(c, 0); rc == PM_OK && k < c->n; k = expire_next(c, k + 1)) {
		*at = (struct expiry_place){c->rows[k].d, c->rows[k].a};
		last = expire_box(d, c, c->rows[k].a);
		rc = last == PM_BUSY ? PM_OK : clean_pass(d, c, last, c->rows[k].a);
		c->rows[k].done = last == PM_OK;
		c->more = true;
		if (clean_late(c))
			return rc;
	}
	if (rc == PM_OK)
		/* of the last mailbox there may be more with the same time */
		*at = (struct expiry_place){end.d, end.a - c->rows[expire_first(c, end.a)].done};
	return rc;
}

/* ---- abandoned deliveries -------------------------------------------------------------------- */

static int32_t
reap_one(struct db *d, struct cleaning *c, uint64_t body)
{
	struct db_arg args[] = {DB_U(body), DB_U(c->i->abandoned_s)};
	int32_t rc = db_begin(d);
	bool found;

	if (rc == PM_OK)
		rc = db_exec(d, ST_INCOMING_REAP, args, 2);
	if (rc == PM_OK && d->affected == 1)
		rc = db_exec(d, ST_GARBAGE_ADD, args, 1);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	found = d->affected == 1;
	rc = db_commit(d);
	sdk_count(c->i->host, "deliveries_abandoned", rc == PM_OK && found);
	return rc;
}

static int32_t
clean_reap(struct db *d, struct cleaning *c)
{
	struct db_arg args[] = {DB_U(c->i->abandoned_s), DB_U(GARBAGE_MAX)};
	int32_t rc = clean_list(d, c, ST_INCOMING_OLD, args, 2, 1);

	if (rc != PM_OK || c->n == 0)
		return rc;
	rc = clean_alone(d, c);
	for (size_t k = 0; rc == PM_OK && k < c->n; k++)
		rc = reap_one(d, c, c->rows[k].a);
	c->more = c->more || rc == PM_OK;
	return rc;
}

/* ---- garbage --------------------------------------------------------------------------------- */

/* Removes pieces of bodies that no message names, a bounded number at once; when all are gone,
 * their rows in mail_garbage. */
static int32_t
collect_unused(struct db *d, const struct cleaning *c)
{
	uint64_t bodies[GARBAGE_MAX];
	char limit[32];
	size_t n = 0;
	int32_t rc;

	for (size_t k = 0; k < c->n; k++)
		if (!c->rows[k].d && (n == 0 || bodies[n - 1] != c->rows[k].a))
			bodies[n++] = c->rows[k].a;
	if (n == 0)
		return PM_OK;
	snprintf(limit, sizeof(limit), " LIMIT %d", CHUNKS_MAX);
	rc = db_list(d, "DELETE FROM mail_chunk", " WHERE body", bodies, n, limit);
	if (rc == PM_OK && d->affected < CHUNKS_MAX)
		rc = db_list(d, "DELETE FROM mail_garbage", " WHERE body", bodies, n, "");
	return rc;
}

/* Removes rows of bodies that another message still names: the deletion of that message will put
 * them back. */
static int32_t
collect_used(struct db *d, const struct cleaning *c)
{
	int32_t rc = PM_OK;

	for (size_t k = 0; rc == PM_OK && k < c->n; k++) {
		struct db_arg args[] = {DB_U(c->rows[k].a), DB_U(c->rows[k].b), DB_U(c->rows[k].c)};

		if (c->rows[k].d)
			rc = db_exec(d, ST_GARBAGE_DELETE, args, 3);
	}
	return rc;
}

static int32_t
clean_collect(struct db *d, struct cleaning *c)
{
	struct db_arg args[] = {DB_U(GARBAGE_MAX)};
	int32_t rc = clean_list(d, c, ST_GARBAGE_LIST, args, 1, 4);

	if (rc != PM_OK || c->n == 0)
		return rc;
	rc = clean_alone(d, c);
	if (rc == PM_OK)
		rc = db_begin(d);
	if (rc == PM_OK)
		rc = collect_unused(d, c);
	if (rc == PM_OK)
		rc = collect_used(d, c);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	c->more = true;
	return db_commit(d);
}

/* ---- imports --------------------------------------------------------------------------------- */

static int32_t
forget_imports(struct db *d, struct cleaning *c)
{
	struct db_arg args[] = {DB_U(clean_now_us(c)), DB_U(IMPORT_DAYS), DB_U(BATCH)};
	int32_t rc = clean_list(d, c, ST_IMPORT_OLD, args, 2, 1);

	if (rc != PM_OK || c->n == 0)
		return rc;
	rc = clean_alone(d, c);
	if (rc == PM_OK)
		rc = db_exec(d, ST_IMPORT_FORGET, args, 3);
	c->more = c->more || rc == PM_OK;
	return rc;
}

/* ---- the tick -------------------------------------------------------------------------------- */

static int32_t
clean_once(struct db *d, struct cleaning *c)
{
	int32_t rc = clean_pass(d, c, clean_expire(d, c), 0);

	if (rc == PM_OK)
		rc = clean_pass(d, c, clean_reap(d, c), 0);
	if (rc == PM_OK)
		rc = clean_pass(d, c, clean_collect(d, c), 0);
	return rc == PM_OK ? clean_pass(d, c, forget_imports(d, c), 0) : rc;
}

static int32_t
clean_work(struct db *d, void *arg)
{
	struct cleaning *c = arg;
	const struct pm_host *host = c->i->host;
	int32_t rc = process_pay(d, c->i->process, 0);

	c->until_ms = host->now_ms(host->ctx) + SLICE_MS;
	/* the servers that a proxy knew when the connection was made need not be those of today */
	if (rc == PM_OK && !c->lease.asked)
		rc = greet_look(d);
	if (rc == PM_OK && !c->lease.asked)
		rc = db_exec(d, ST_SERVERS_OLD, NULL, 0);
	do {
		c->more = false;
		if (rc == PM_OK)
			rc = clean_once(d, c);
	} while (rc == PM_OK && c->more && !clean_late(c));
	if (rc == PM_BUSY)
		return PM_OK;
	if (c->lease.asked && !d->fail.lost &&
	    lease_drop(d, 0, c->lease.owner, c->lease.fence) == PM_OK)
		c->lease.asked = c->lease.held = false;
	if (rc == PM_OK && c->fail.rc != PM_OK) {
		d->fail = c->fail;
		return c->fail.rc;
	}
	return rc == PM_OK && c->more ? PM_AGAIN : rc;
}

int32_t
clean_tick(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	struct cleaning *c = calloc(1, sizeof(*c));
	int32_t rc;

	if (!c)
		return PM_NOMEM;
	c->i = i;
	lease_init(&c->lease, 0);
	db_revive(&i->pool, call->deadline_ms);
	rc = db_do(&i->pool, call, 0, clean_work, c);
	if (c->lease.asked)
		process_owe(i->process, &c->lease);
	free(c);
	return rc;
}
