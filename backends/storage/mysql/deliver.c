/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver - one message for several recipients. Its pieces are written as they come, each in a transaction of its
 * own, under a body nobody names yet; one short transaction then makes it the mail of all recipients and moves
 * their counters. Lines are stored as on the wire, ended in CRLF, so that the size stored is the size on the wire.
 */
#include <mysqld_error.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "octets.h"
#include "store.h"

#define HEAD_MAX CHUNK
#define TOUCH_MS 600000
#define POS_TRIES 1000 /* imports that bring the same order */

struct rcpt {
	struct rcpt *next;
	struct box_row box;
	uint64_t quota_octets, quota_msgs, domain_octets, domain_msgs;
	uint64_t pos;
	int64_t received_ms, first_retrieved_ms;
	int32_t rc;
	bool import;           /* it brought its uidl */
	uint8_t meta_n, meta[64];
	uint32_t uidl_n;
	char uidl[PM_UIDL_MAX + 2];
	struct pm_str key, domain, head; /* in text */
	char text[];
};

struct dlv {
	struct inst *inst;
	uint32_t flags;
	uint64_t hint;
	struct rcpt *first, **last;
	uint64_t body; /* 0: nothing was written */
	uint64_t bytes;
	uint32_t seq;
	int64_t touched_ms;
	bool begun, prepared, sent;
	bool last_cr, last_lf;
	int32_t failed; /* a write that failed: the message is not whole */
	struct sdk_octets seen;
	size_t n;
	char buf[CHUNK];
};

uint64_t
arrival_next(const struct pm_host *host)
{
	static _Atomic uint64_t last; /* of the process: no two alike, and in order */
	uint64_t before = atomic_load(&last), at;
	uint32_t r;

	random_bytes(&r, sizeof(r));
	do {
		at = (uint64_t)host->wall_ms(host->ctx) << 22 | (r & 0x1fffff);
		if (at <= before)
			at = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, at));
	return at;
}

/* ---- begin, recipients ----------------------------------------------------------------------- */

static int32_t
dlv_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags, void **ret_dlv)
{
	struct dlv *d = malloc(sizeof(*d));

	(void)call;
	if (!d)
		return PM_NOMEM;
	memset(d, 0, offsetof(struct dlv, buf));
	d->inst = inst;
	d->flags = flags;
	d->hint = size_hint;
	d->last = &d->first;
	sdk_octets_init(&d->seen);
	*ret_dlv = d;
	return PM_OK;
}

static bool
uidl_ok(struct pm_str s)
{
	for (size_t k = 0; k < s.n; k++)
		if (s.p[k] < 0x21 || s.p[k] > 0x7e)
			return false;
	return s.n <= PM_UIDL_MAX;
}

/* Bare LFs become CRLF; `to` has room for twice as much. */
static size_t
wire_lines(char *to, const char *p, size_t n)
{
	size_t at = 0;

	for (size_t k = 0; k < n; k++) {
		if (p[k] == '\n' && (k == 0 || p[k - 1] != '\r'))
			to[at++] = '\r';
		to[at++] = p[k];
	}
	return at;
}

static struct rcpt *
rcpt_new(const struct dlv *d, const struct pm_rcpt *in)
{
	struct pm_str key = box_key(in->user), domain = in->user->domain;
	struct rcpt *r = calloc(1, sizeof(*r) + key.n + domain.n + 2 * in->head.n);
	char *at;

	if (!r)
		return NULL;
	at = r->text;
	r->key = (struct pm_str){memcpy(at, key.p, key.n), key.n};
	at += key.n;
	r->domain = (struct pm_str){domain.n ? memcpy(at, domain.p, domain.n) : at, domain.n};
	at += domain.n;
	r->head = (struct pm_str){at, wire_lines(at, in->head.p, in->head.n)};
	r->quota_octets = in->user->quota_octets;
	r->quota_msgs = in->user->quota_msgs;
	r->domain_octets = in->user->domain_octets;
	r->domain_msgs = in->user->domain_msgs;
	r->meta_n = (uint8_t)in->meta.n;
	if (in->meta.n > 0)
		memcpy(r->meta, in->meta.p, in->meta.n);
	if (d->flags & PM_DLVF_IMPORT) {
		r->pos = in->order;
		r->received_ms = in->received_ms;
		r->first_retrieved_ms = in->first_retrieved_ms;
		r->uidl_n = (uint32_t)in->uidl.n;
		r->import = in->uidl.n > 0;
		if (in->uidl.n > 0)
			memcpy(r->uidl, in->uidl.p, in->uidl.n);
	}
	return r;
}

static bool
over(uint64_t used, uint64_t more, uint64_t quota)
{
	return quota > 0 && (used > quota || more > quota - used);
}

struct looking {
	struct dlv *d;
	struct rcpt *r;
};

/* Why not this one, before the sender has sent a byte. */
static int32_t
look_work(struct db *d, void *arg)
{
	struct looking *l = arg;
	struct rcpt *r = l->r;
	struct db_arg args[2];
	struct db_col col = {.p = NULL};
	int32_t rc = box_find(d, r->key, &r->box);

	if (rc != PM_OK || r->box.id == 0)
		return rc;
	if (over(r->box.messages, 1, r->quota_msgs) || over(r->box.octets, l->d->hint, r->quota_octets))
		return PM_QUOTA;
	if (!r->import)
		return PM_OK;
	args[0] = DB_U(r->box.id);
	args[1] = DB_S(r->uidl, r->uidl_n);
	rc = db_row(d, ST_UIDL_THERE, args, 2, &col, 1);
	return rc == PM_OK ? PM_EXISTS : rc == PM_END ? PM_OK : rc;
}

static int32_t
dlv_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct pm_str key = box_key(rcpt->user);
	struct looking l = {.d = d};
	int32_t rc;

	if (d->bytes > 0 || d->n > 0 || key.n == 0 || key.n > PM_KEY_MAX || rcpt->meta.n > sizeof(l.r->meta) ||
	    !uidl_ok(rcpt->uidl) || rcpt->order > INT64_MAX)
		return PM_INVALID;
	if (rcpt->head.n > HEAD_MAX / 2)
		return PM_TOOBIG;
	l.r = rcpt_new(d, rcpt);
	if (!l.r)
		return PM_NOMEM;
	rc = db_do(&d->inst->pool, call, 0, look_work, &l);
	if (rc != PM_OK) {
		free(l.r);
		return rc;
	}
	*d->last = l.r;
	d->last = &l.r->next;
	return PM_OK;
}

/* ---- the text -------------------------------------------------------------------------------- */

/* A row of mail_incoming says that this body is in the making, and since when. */
static int32_t
begin_body(struct db *d, struct dlv *v)
{
	int32_t rc = PM_OK;
	struct db_arg id;

	for (int k = 0; k < 3; k++) {
		memset(&d->fail, 0, sizeof(d->fail));
		v->body = arrival_next(v->inst->host);
		id = DB_U(v->body);
		rc = db_exec(d, ST_INCOMING_ADD, &id, 1);
		if (rc == PM_OK || d->fail.code != ER_DUP_ENTRY)
			break;
	}
	v->begun = rc == PM_OK;
	v->touched_ms = v->inst->host->now_ms(v->inst->host->ctx);
	return rc;
}

static int32_t
touch(struct db *d, struct dlv *v)
{
	struct db_arg id = DB_U(v->body);
	int64_t now = v->inst->host->now_ms(v->inst->host->ctx);

	if (now - v->touched_ms < TOUCH_MS)
		return PM_OK;
	v->touched_ms = now;
	return db_exec(d, ST_INCOMING_TOUCH, &id, 1);
}

/* The first piece is written under a fresh body at each attempt; a later one may be there already. */
static int32_t
flush_work(struct db *d, void *arg)
{
	struct dlv *v = arg;
	struct db_arg args[4];
	int32_t rc;

	rc = v->seq == 0 ? begin_body(d, v) : touch(d, v);
	if (rc != PM_OK)
		return rc;
	args[0] = DB_U(v->body);
	args[1] = DB_U(v->seq);
	args[2] = DB_U(v->n);
	args[3] = DB_S(v->buf, v->n);
	rc = db_exec(d, v->seq == 0 ? ST_CHUNK_ADD : ST_CHUNK_AGAIN, args, 4);
	if (rc != PM_OK && d->fail.code == ER_DUP_ENTRY)
		d->fail.again = true; /* somebody's body has this number */
	return rc;
}

static int32_t
flush(struct dlv *v, const struct pm_call *call)
{
	int32_t rc = v->n > 0 ? db_do(&v->inst->pool, call, 0, flush_work, v) : PM_OK;

	if (rc == PM_OK && v->n > 0) {
		v->seq++;
		v->bytes += v->n;
		v->n = 0;
	}
	return v->failed = rc;
}

static int32_t
put_byte(struct dlv *v, const struct pm_call *call, char c)
{
	v->buf[v->n++] = c;
	return v->n == CHUNK ? flush(v, call) : PM_OK;
}

static int32_t
dlv_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	struct dlv *v = dlv;
	const char *p = buf;
	int32_t rc = v->failed;

	if (!v->first || v->prepared)
		return PM_INVALID;
	sdk_octets_feed(&v->seen, buf, n);
	for (size_t k = 0; rc == PM_OK && k < n; k++) {
		if (p[k] == '\n' && !v->last_cr)
			rc = put_byte(v, call, '\r');
		if (rc == PM_OK)
			rc = put_byte(v, call, p[k]);
		v->last_cr = p[k] == '\r';
		v->last_lf = p[k] == '\n';
	}
	return rc;
}

/* ---- prepare --------------------------------------------------------------------------------- */

/* One record per accepted recipient, in their order; only what lies inside (R1). */
static void
fill_results(const struct dlv *d, struct pm_result *ret, size_t stride)
{
	char *at = (char *)ret;

	for (const struct rcpt *r = d->first; r; r = r->next, at += stride) {
		struct pm_result x = {.rc = r->rc};
		uint32_t size;

		memcpy(&size, at, sizeof(size));
		x.size = size;
		if (d->sent && (r->rc == PM_OK || r->rc == PM_EXISTS)) {
			x.uidl_len = r->uidl_n;
			memcpy(x.uidl, r->uidl, r->uidl_n);
		}
		memcpy(at, &x, size < sizeof(x) ? size : sizeof(x));
	}
}

/* The size of this recipient's copy is known now. */
static int32_t
check_quota(const struct dlv *v, const struct rcpt *r)
{
	uint64_t octets = r->head.n + v->bytes;

	return over(r->box.octets, octets, r->quota_octets) || over(0, octets, r->domain_octets) ? PM_QUOTA : PM_OK;
}

static int32_t
dlv_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *v = dlv;
	int32_t rc = v->failed;

	if (!v->first)
		return PM_INVALID;
	if (rc == PM_OK && !v->prepared && (v->n > 0 || v->bytes > 0) && !v->last_lf) {
		rc = put_byte(v, call, '\r');
		if (rc == PM_OK)
			rc = put_byte(v, call, '\n');
	}
	if (rc == PM_OK && !v->prepared)
		rc = flush(v, call);
	if (rc != PM_OK)
		return rc;
	v->prepared = true;
	for (struct rcpt *r = v->first; r; r = r->next)
		r->rc = check_quota(v, r);
	fill_results(v, ret, stride);
	return PM_OK;
}

/* ---- commit ---------------------------------------------------------------------------------- */

struct publishing {
	struct dlv *v;
	size_t delivered;
	bool sent;    /* COMMIT: its outcome may be unknown */
	bool earlier; /* there was such an attempt: it may even still be on its way */
};

/* 128 random bits, or as many drawn from the operation's: its repetition makes the same one. */
static void
choose_uidl(struct rcpt *r, const uint8_t op[ID])
{
	static const uint8_t none[ID];
	uint8_t text[ID + PM_KEY_MAX], sum[EVP_MAX_MD_SIZE];

	if (memcmp(op, none, ID) != 0) {
		memcpy(text, op, ID);
		memcpy(text + ID, r->key.p, r->key.n);
		if (EVP_Digest(text, ID + r->key.n, sum, NULL, EVP_sha256(), NULL) != 1)
			random_bytes(sum, ID);
	} else {
		random_bytes(sum, ID);
	}
	for (int k = 0; k < ID; k++)
		snprintf(r->uidl + (size_t)k * 2, 3, "%02x", sum[k]);
	r->uidl_n = 2 * ID;
}

static int32_t
message_add(struct db *d, const struct dlv *v, const struct rcpt *r)
{
	struct db_arg args[] = {
		DB_U(r->box.id), DB_U(r->pos), DB_U(v->begun ? v->body : 0), DB_U(r->head.n + v->bytes),
		DB_U(r->received_ms > 0 ? r->received_ms : v->inst->host->wall_ms(v->inst->host->ctx)),
		r->first_retrieved_ms > 0 ? DB_U(r->first_retrieved_ms) : DB_NIL,
		DB_U(v->seen.utf8_header ? FLAG_UTF8 : 0), DB_S(r->uidl, r->uidl_n), DB_S(r->meta, r->meta_n),
		r->head.n > 0 ? DB_S(r->head.p, r->head.n) : DB_NIL,
	};

	return db_exec(d, ST_MESSAGE_ADD, args, 10);
}

/* Inserts, at the next free place. PM_EXISTS: its unique-id is there. */
static int32_t
message_place(struct db *d, const struct dlv *v, struct rcpt *r)
{
	struct db_arg uidl[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
	struct db_col col = {.p = NULL};
	int32_t rc = PM_OK;

	for (int k = 0; k < POS_TRIES; k++, r->pos++) {
		rc = message_add(d, v, r);
		if (rc == PM_OK || d->fail.code != ER_DUP_ENTRY)
			break;
		memset(&d->fail, 0, sizeof(d->fail));
		rc = db_row(d, ST_UIDL_THERE, uidl, 2, &col, 1);
		if (rc != PM_END)
			return rc == PM_OK ? PM_EXISTS : rc;
	}
	return rc;
}

/* Counts the message to mailbox and domain. PM_QUOTA: it does not fit; fail.again: the mailbox was removed. */
static int32_t
count_in(struct db *d, const struct dlv *v, const struct rcpt *r)
{
	uint64_t octets = r->head.n + v->bytes;
	struct db_arg add[] = {DB_U(octets), DB_U(r->box.id), DB_U(r->quota_msgs), DB_U(r->quota_msgs),
			       DB_U(r->quota_octets), DB_U(octets), DB_U(r->quota_octets)};
	struct db_arg domain[] = {DB_S(r->box.domain, r->box.domain_n), DB_U(r->box.id & 15), DB_U(1), DB_U(octets)};
	struct db_arg id = DB_U(r->box.id);
	struct db_col sums[2] = {{.p = NULL}};
	char name[DOMAIN_MAX];
	struct db_col row[3] = {[2] = {.p = name, .cap = sizeof(name)}};
	int32_t rc = PM_OK;

	if (r->box.domain_n > 0 && (r->domain_octets > 0 || r->domain_msgs > 0)) {
		rc = db_row(d, ST_DOMAIN_SUM, domain, 1, sums, 2);
		if (rc == PM_OK && (over((uint64_t)sums[0].u, 1, r->domain_msgs) ||
				    over((uint64_t)sums[1].u, octets, r->domain_octets)))
			return PM_QUOTA;
	}
	if (rc == PM_OK)
		rc = db_exec(d, ST_BOX_ADD, add, 7);
	if (rc == PM_OK && d->affected == 0) {
		rc = db_row(d, ST_BOX_LOCK, &id, 1, row, 3);
		if (rc == PM_END) {
			d->fail.again = true;
			return db_say(d, PM_TEMP, "the mailbox was removed meanwhile");
		}
		return rc == PM_OK ? PM_QUOTA : rc;
	}
	return rc == PM_OK && r->box.domain_n > 0 ? db_exec(d, ST_DOMAIN_ADD, domain, 4) : rc;
}

/* PM_OK: r->rc is decided. */
static int32_t
publish(struct db *d, struct publishing *p, struct rcpt *r)
{
	struct db_arg place[] = {DB_U(r->box.id), DB_U(0)};
	int32_t rc;

	rc = message_place(d, p->v, r);
	if (rc == PM_EXISTS) {
		r->rc = r->import ? PM_EXISTS : PM_OK; /* this very delivery, the first time */
		return PM_OK;
	}
	if (rc == PM_OK)
		rc = count_in(d, p->v, r);
	if (rc == PM_QUOTA) {
		r->rc = PM_QUOTA;
		place[1] = DB_U(r->pos);
		return db_exec(d, ST_MESSAGE_TAKE_BACK, place, 2);
	}
	if (rc == PM_OK) {
		r->rc = PM_OK;
		p->delivered++;
	}
	return rc;
}

/* The body is whole, and ours: nobody has reaped it. PM_NOENT: it is not incoming any more. */
static int32_t
claim_body(struct db *d, const struct dlv *v)
{
	struct db_arg id = DB_U(v->body);
	struct db_col cols[2] = {{.p = NULL}};
	int32_t rc;

	if (!v->begun)
		return PM_OK;
	rc = db_exec(d, ST_INCOMING_LIVE, &id, 1);
	if (rc == PM_OK && d->affected == 0)
		return PM_NOENT;
	if (rc == PM_OK)
		rc = db_row(d, ST_CHUNK_COUNT, &id, 1, cols, 2);
	if (rc == PM_OK && ((uint64_t)cols[0].u != v->seq || (uint64_t)cols[1].u != v->bytes))
		return db_say(d, PM_TEMP, "%lld of %u pieces and %lld of %llu octets are in the database",
				     (long long)cols[0].u, v->seq, (long long)cols[1].u, (unsigned long long)v->bytes);
	return rc;
}

/* Is the message of this delivery there: did the COMMIT that was not answered succeed? */
static int32_t
was_published(struct db *d, struct publishing *p)
{
	int32_t rc = PM_OK;

	for (const struct rcpt *r = p->v->first; r && rc == PM_OK; r = r->next) {
		struct db_arg uidl[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
		struct db_col col = {.p = NULL};

		if (r->rc != PM_OK)
			continue;
		rc = db_row(d, ST_UIDL_THERE, uidl, 2, &col, 1);
	}
	return rc == PM_END ? PM_NOENT : rc;
}

static int32_t
make_boxes(struct db *d, struct dlv *v)
{
	int32_t rc = PM_OK;

	for (struct rcpt *r = v->first; r && rc == PM_OK; r = r->next)
		if (check_quota(v, r) == PM_OK)
			rc = box_make(d, r->key, r->domain, &r->box);
	return rc;
}

/* Recipients by mailbox: two deliveries that share some lock their rows in the same order. */
static struct rcpt *
next_box(const struct dlv *v, const struct rcpt *last)
{
	struct rcpt *best = NULL;

	for (struct rcpt *r = v->first; r; r = r->next) {
		bool later = !last || r->box.id > last->box.id || (r->box.id == last->box.id && r > last);

		if (r->rc == PM_OK && later && (!best || r->box.id < best->box.id || (r->box.id == best->box.id && r < best)))
			best = r;
	}
	return best;
}

/* What earlier attempts decided of recipients is decided anew. */
static void
forget_results(struct dlv *v)
{
	for (struct rcpt *r = v->first; r; r = r->next)
		r->rc = check_quota(v, r);
}

static int32_t
publish_all(struct db *d, struct publishing *p)
{
	struct dlv *v = p->v;
	struct db_arg body = DB_U(v->body);
	int32_t rc = PM_OK;

	p->delivered = 0;
	forget_results(v);
	for (struct rcpt *r = next_box(v, NULL); r && rc == PM_OK; r = next_box(v, r))
		rc = publish(d, p, r);
	if (rc == PM_OK && p->delivered == 0 && v->begun)
		rc = db_exec(d, ST_GARBAGE_ADD, &body, 1);
	return rc;
}

static int32_t
publish_work(struct db *d, void *arg)
{
	struct publishing *p = arg;
	int32_t rc;

	if (p->sent) {
		rc = was_published(d, p);
		if (rc != PM_NOENT) {
			p->sent = rc != PM_OK;
			return rc;
		}
	}
	rc = make_boxes(d, p->v);
	if (rc == PM_OK)
		rc = db_begin(d);
	if (rc == PM_OK)
		rc = claim_body(d, p->v);
	if (rc == PM_NOENT) {
		(void)db_rollback(d, rc);
		if (p->earlier && was_published(d, p) == PM_OK)
			return PM_OK;
		return db_say(d, PM_TEMP, "the message lay too long and was removed");
	}
	if (rc == PM_OK)
		rc = publish_all(d, p);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	p->sent = p->earlier = true;
	rc = db_commit(d);
	p->sent = rc != PM_OK && d->fail.lost;
	return rc;
}

/* ---- the end --------------------------------------------------------------------------------- */

static int32_t
throw_away(struct db *d, void *arg)
{
	struct dlv *v = arg;
	struct db_arg id = DB_U(v->body);
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = db_exec(d, ST_INCOMING_LIVE, &id, 1);
	if (rc == PM_OK && d->affected == 1)
		rc = db_exec(d, ST_GARBAGE_ADD, &id, 1);
	return rc == PM_OK ? db_commit(d) : db_rollback(d, rc);
}

static void
dlv_free(struct dlv *v)
{
	while (v->first) {
		struct rcpt *r = v->first;

		v->first = r->next;
		free(r);
	}
	free(v);
}

static void
dlv_abort(void *dlv, const struct pm_call *call)
{
	struct dlv *v = dlv;

	if (v->begun)
		(void)db_do(&v->inst->pool, call, 0, throw_away, v); /* else it is reaped in an hour */
	dlv_free(v);
}

static int32_t
dlv_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *v = dlv;
	struct publishing p = {.v = v};
	int32_t rc = PM_INVALID;

	if (v->prepared) {
		for (struct rcpt *r = v->first; r; r = r->next) {
			if (!r->import)
				choose_uidl(r, call->op_id);
			if (r->pos == 0)
				r->pos = arrival_next(v->inst->host);
		}
		rc = db_do(&v->inst->pool, call, 0, publish_work, &p);
	}
	if (rc == PM_OK) {
		v->sent = true;
		fill_results(v, ret, stride);
		dlv_free(v);
		return PM_OK;
	}
	if (p.sent) {
		dlv_free(v); /* whatever became of it, it is not ours to remove */
		return PM_UNKNOWN;
	}
	dlv_abort(v, call);
	return rc;
}

const struct pm_delivery deliver_table = {
	.size = sizeof(deliver_table),
	.dlv_begin = dlv_begin,
	.dlv_rcpt = dlv_rcpt,
	.dlv_write = dlv_write,
	.dlv_prepare = dlv_prepare,
	.dlv_commit = dlv_commit,
	.dlv_abort = dlv_abort,
};
