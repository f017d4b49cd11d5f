/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snap - opening a mailbox: takes the lease, then reads (pos, octets) of each message, 16 bytes,
 * page by page. A session never sees rows of messages change, so unique-ids and dates can be read
 * later, by ranges of pos. A reader without a lock, a tool, keeps whole records, since others may
 * delete the rows meanwhile.
 */
#include "snap.h"

#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "db.h"
#include "lease.h"
#include "store.h"

#define PAGE 4096

/* ---- opening --------------------------------------------------------------------------------- */

struct opening {
	struct mbox *m;
	const struct pm_call *call;
	struct pm_str key, domain;
	bool all;
	int64_t until_ms; /* of this slice */
};

static bool
snap_locks(const struct mbox *m)
{
	return m->flags & PM_OPEN_EXCLUSIVE;
}

static bool
snap_room(struct mbox *m, uint64_t n)
{
	uint64_t cap = m->cap ? m->cap * 2 : 64;
	struct pm_msg *records;
	struct entry *more;

	if (n <= m->cap)
		return true;
	if (cap < n)
		cap = n;
	more = reallocarray(m->msgs, cap, sizeof(*more));
	if (!more)
		return false;
	m->msgs = more;
	if (!snap_locks(m)) {
		records = reallocarray(m->records, cap, sizeof(*records));
		if (!records)
			return false;
		m->records = records;
	}
	m->cap = cap;
	return true;
}

/* The columns of ST_INFO, and the first ones of ST_RECORDS. */
static void
record_cols(struct db_col *cols, struct pm_msg *row)
{
	cols[1] = (struct db_col){.p = row->uidl, .cap = PM_UIDL_MAX};
	cols[2].is_signed = cols[3].is_signed = true;
	cols[6] = (struct db_col){.p = row->meta, .cap = sizeof(row->meta)};
	memset(row, 0, sizeof(*row));
}

static void
snap_fill(struct pm_msg *x, const struct db_col *cols)
{
	x->uidl_len = (uint32_t)cols[1].n;
	x->received_ms = cols[2].u;
	x->first_retrieved_ms = cols[3].u;
	x->order = (uint64_t)cols[0].u;
	x->flags =
		(cols[4].u & FLAG_UTF8 ? PM_MSG_UTF8_HEADER : 0) | (cols[5].u ? PM_MSG_HIDDEN : 0);
	x->meta_len = (uint32_t)cols[6].n;
}

/* Reads the next page; *ret_all: it was the last. */
static int32_t
load_page(struct db *d, struct mbox *m, bool *ret_all)
{
	uint64_t after = m->n > 0 ? m->msgs[m->n - 1].pos : 0, n = 0;
	struct db_arg args[] = {DB_U(m->box.id), DB_U(after), DB_U(m->flags & PM_OPEN_HIDDEN),
				DB_U(PAGE)};
	enum db_stmt which = snap_locks(m) ? ST_SNAPSHOT : ST_RECORDS;
	size_t octets = snap_locks(m) ? 1 : 7;
	struct db_col cols[8] = {{.p = NULL}};
	struct pm_msg row;
	int32_t rc;

	if (!snap_locks(m))
		record_cols(cols, &row);
	rc = db_select(d, which, args, 4, cols, octets + 1);
	while (rc == PM_OK && (rc = db_next(d, which)) == PM_OK) {
		if (!snap_room(m, m->n + 1)) {
			rc = db_say(d, PM_NOMEM, "no memory for the snapshot of a mailbox");
			break;
		}
		if (!snap_locks(m)) {
			snap_fill(&row, cols);
			m->records[m->n] = row;
			record_cols(cols, &row);
		}
		m->msgs[m->n++] = (struct entry){(uint64_t)cols[0].u, (uint64_t)cols[octets].u};
		n++;
	}
	db_end(d, which);
	*ret_all = rc == PM_END &&
		   /* a page that broke off was not the last one: the next attempt goes on */
		   n < PAGE;
	return rc == PM_END ? PM_OK : rc;
}

/* Finds the mailbox. One that nobody has delivered to has no row, and so no lock: its row is made.
 */
static int32_t
find_box(struct db *d, struct opening *o)
{
	struct mbox *m = o->m;
	struct box_row made;
	int32_t rc = box_open(d, o->key, &m->box, &m->lease);

	if (rc != PM_OK || m->box.id != 0 || !snap_locks(m))
		return rc;
	rc = box_make(d, o->key, o->domain, &made);
	if (rc == PM_OK) {
		m->box = made;
		lease_init(&m->lease, made.id);
	}
	return rc;
}

static int32_t
snap_open_work(struct db *d, void *arg)
{
	struct opening *o = arg;
	struct mbox *m = o->m;
	int32_t rc = PM_OK;

	if (m->box.id == 0) {
		rc = find_box(d, o);
		if (rc != PM_OK || m->box.id == 0)
			return rc;
	}
	/* done at each attempt, since the pages that follow are of this server */
	if (snap_locks(m)) {
		rc = lease_take(d, m->inst, &m->lease);
		if (rc != PM_OK)
			return rc;
	}
	/* the counter is a guess, but mostly right */
	if (m->n == 0 && !snap_room(m, m->box.messages))
		return db_say(d, PM_NOMEM, "no memory for the snapshot of a mailbox");
	while (rc == PM_OK && !o->all) {
		if (m->n > 0 && d->pool->host->now_ms(d->pool->host->ctx) >= o->until_ms)
			return PM_AGAIN;
		rc = load_page(d, m, &o->all);
	}
	return rc;
}

void
snap_close(void *mbox, const struct pm_call *call)
{
	struct mbox *m = mbox;

	lease_give(m->inst, call, &m->lease);
	free(m->records);
	free(m->msgs);
	free(m);
}

int32_t
snap_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
	  uint64_t *ret_count, void **ret_mbox)
{
	struct inst *i = inst;
	struct opening o = {.m = *ret_mbox,
			    .call = call,
			    .key = box_key(user),
			    .domain = user->domain,
			    .until_ms = i->host->now_ms(i->host->ctx) + SLICE_MS};
	int32_t rc;

	if (o.key.n == 0 || o.key.n > PM_KEY_MAX)
		return PM_INVALID;
	if (!o.m && !(o.m = calloc(1, sizeof(*o.m))))
		return PM_NOMEM;
	o.m->inst = i;
	o.m->flags = flags;
	rc = call->cancelled(call) ? PM_CANCELLED : db_do(&i->pool, call, 0, snap_open_work, &o);
	if (rc == PM_OK || rc == PM_AGAIN)
		*ret_mbox = o.m;
	else
		snap_close(o.m, call);
	if (rc == PM_OK)
		*ret_count = o.m->n;
	return rc;
}

/* ---- records --------------------------------------------------------------------------------- */

struct asking {
	const struct mbox *m;
	uint64_t first;
	size_t n, filled;
	struct pm_msg *msgs;
};

/* Reads the rows between the first and the last message; mail that came later has no entry and is
 * passed over. */
static int32_t
load_info(struct db *d, struct asking *a)
{
	const struct entry *e = a->m->msgs + a->first;
	struct pm_msg row;
	struct db_arg args[] = {DB_U(a->m->box.id), DB_U(e[0].pos), DB_U(e[a->n - 1].pos)};
	struct db_col cols[7] = {{.p = NULL}};
	int32_t rc;

	a->filled = 0;
	record_cols(cols, &row);
	for (rc = db_select(d, ST_INFO, args, 3, cols, 7);; record_cols(cols, &row)) {
		if (rc != PM_OK || (rc = db_next(d, ST_INFO)) != PM_OK)
			break;
		if (a->filled == a->n || (uint64_t)cols[0].u != e[a->filled].pos)
			continue;
		snap_fill(&row, cols);
		a->msgs[a->filled++] = row;
	}
	db_end(d, ST_INFO);
	return rc == PM_END ? PM_OK : rc;
}

/* Looks for missing rows once more, after a write has shown that this server is up to date. */
static int32_t
info_work(struct db *d, void *arg)
{
	struct asking *a = arg;
	int32_t rc = load_info(d, a);

	if (rc == PM_OK && a->filled < a->n)
		rc = d->pool->settle(d);
	if (rc == PM_OK && a->filled < a->n)
		rc = load_info(d, a);
	if (rc == PM_OK && a->filled < a->n)
		return db_say(d, PM_GONE, "messages of the snapshot are not there any more");
	return rc;
}

/* Writes only the fields that were asked for and lie inside the caller's record (R1). */
static void
snap_hand_out(void *record, const struct pm_msg *m, const struct entry *e, uint32_t want)
{
	struct pm_msg x = {.size = 0};
	uint32_t size;

	memcpy(&size, record, sizeof(size));
	memcpy(&x, record, size < sizeof(x) ? size : sizeof(x));
	if (want & PM_WANT_OCTETS)
		x.octets = x.stored_bytes = e->octets;
	if (want & PM_WANT_UIDL) {
		memcpy(x.uidl, m->uidl, sizeof(x.uidl));
		x.uidl_len = m->uidl_len;
	}
	if (want & PM_WANT_DATES) {
		x.received_ms = m->received_ms;
		x.first_retrieved_ms = m->first_retrieved_ms;
		x.order = m->order;
	}
	if (want & PM_WANT_META) {
		memcpy(x.meta, m->meta, sizeof(x.meta));
		x.meta_len = m->meta_len;
		x.flags = m->flags;
	}
	memcpy(record, &x, size < sizeof(x) ? size : sizeof(x));
}

int32_t
snap_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	  uint32_t want, struct pm_msg *ret)
{
	struct mbox *m = mbox;
	struct asking a = {.m = m, .first = first, .n = n};
	static const struct pm_msg none;
	const struct pm_msg *records = NULL;
	int32_t rc = PM_OK;

	if (n > PM_SLICE_MAX || first > m->n || n > m->n - first)
		return PM_INVALID;
	if (m->records) {
		records = m->records + first;
	} else if (n > 0 && (want & ~PM_WANT_OCTETS)) {
		a.msgs = malloc(n * sizeof(*a.msgs));
		rc = a.msgs ? db_do(&m->inst->pool, call, 0, info_work, &a) : PM_NOMEM;
		records = a.msgs;
	}
	for (size_t k = 0; rc == PM_OK && k < n; k++)
		snap_hand_out((char *)ret + k * stride, records ? &records[k] : &none,
			      &m->msgs[first + k], want);
	free(a.msgs);
	return rc;
}
