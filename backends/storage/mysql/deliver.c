/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver - one message for several recipients. Its pieces are written as they come, each in a
 * transaction of its own, under a body that no message names yet; one short transaction then makes
 * it the mail of all recipients and changes their counters. Lines are stored as on the wire, ended
 * in CRLF, so that the size stored is the size on the wire.
 */
#include "deliver.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "db.h"
#include "ids.h"
#include "store.h"

#define HEAD_MAX CHUNK
#define TOUCH_MS 600000

/* ---- begin, recipients ----------------------------------------------------------------------- */

int32_t
deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
	      void **ret_dlv)
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
deliver_uidl_ok(struct pm_str s)
{
	for (size_t k = 0; k < s.n; k++)
		if (s.p[k] < 0x21 || s.p[k] > 0x7e)
			return false;
	return s.n <= PM_UIDL_MAX;
}

/* Turns bare LFs into CRLF; `to` has room for twice as much. */
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
deliver_rcpt_new(const struct dlv *d, const struct pm_rcpt *in)
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
		r->restore = d->flags & PM_DLVF_RESTORE;
		if (in->uidl.n > 0)
			memcpy(r->uidl, in->uidl.p, in->uidl.n);
	}
	return r;
}

bool
deliver_over(uint64_t used, uint64_t more, uint64_t quota)
{
	return quota > 0 && (used > quota || more > quota - used);
}

int32_t
deliver_import_there(struct db *d, const struct rcpt *r)
{
	struct db_arg args[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
	struct db_col col = {.p = NULL};
	int32_t rc = db_row(d, ST_IMPORT_THERE, args, 2, &col, 1);

	if (rc == PM_OK && r->restore && !col.u)
		return db_say(
			d, PM_TEMP,
			"its time of hiding is over and it is being removed; try again later");
	if (rc == PM_END && !r->restore)
		rc = db_row(d, ST_IMPORT_KNOWN, args, 2, &col, 1);
	return rc == PM_OK ? PM_EXISTS : rc == PM_END ? PM_OK : rc;
}

struct looking {
	struct dlv *d;
	struct rcpt *r;
};

/* Looks whether this recipient can be served at all, before the sender has sent a byte. */
static int32_t
look_work(struct db *d, void *arg)
{
	struct looking *l = arg;
	struct rcpt *r = l->r;
	int32_t rc = box_find(d, r->key, &r->box);

	if (rc != PM_OK || r->box.id == 0)
		return rc;
	if (r->import)
		rc = deliver_import_there(d, r);
	if (rc != PM_OK)
		return rc;
	if (deliver_over(r->box.messages, 1, r->quota_msgs) ||
	    deliver_over(r->box.octets, l->d->hint, r->quota_octets))
		return PM_QUOTA;
	return PM_OK;
}

int32_t
deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct pm_str key = box_key(rcpt->user);
	struct looking l = {.d = d};
	int32_t rc;

	if (d->bytes > 0 || d->n > 0 || key.n == 0 || key.n > PM_KEY_MAX ||
	    rcpt->meta.n > sizeof(l.r->meta) || !deliver_uidl_ok(rcpt->uidl) ||
	    rcpt->order > ORDER_MAX)
		return PM_INVALID;
	if (rcpt->head.n > HEAD_MAX / 2)
		return PM_TOOBIG;
	l.r = deliver_rcpt_new(d, rcpt);
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

/* Begins a body: a row of mail_incoming marks it as being written, and since when. */
static int32_t
begin_body(struct db *d, struct dlv *v)
{
	int32_t rc = PM_OK;
	struct db_arg id;

	for (int k = 0; k < 3; k++) {
		memset(&d->fail, 0, sizeof(d->fail));
		v->body = ids_arrival(v->inst->host);
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
deliver_touch(struct db *d, struct dlv *v)
{
	struct db_arg id = DB_U(v->body);
	int64_t now = v->inst->host->now_ms(v->inst->host->ctx);

	if (now - v->touched_ms < TOUCH_MS)
		return PM_OK;
	v->touched_ms = now;
	return db_exec(d, ST_INCOMING_TOUCH, &id, 1);
}

/* Writes a piece. The first one is written under a fresh body at each attempt; a later one may be
 * there already. */
static int32_t
flush_work(struct db *d, void *arg)
{
	struct dlv *v = arg;
	struct db_arg args[4];
	int32_t rc;

	rc = v->seq == 0 ? begin_body(d, v) : deliver_touch(d, v);
	if (rc != PM_OK)
		return rc;
	args[0] = DB_U(v->body);
	args[1] = DB_U(v->seq);
	args[2] = DB_U(v->n);
	args[3] = DB_S(v->buf, v->n);
	rc = db_exec(d, v->seq == 0 ? ST_CHUNK_ADD : ST_CHUNK_AGAIN, args, 4);
	if (rc != PM_OK && d->fail.code == ER_DUP_ENTRY)
		d->fail.again = true; /* this number is taken by another body */
	return rc;
}

static int32_t
deliver_flush(struct dlv *v, const struct pm_call *call)
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
	return v->n == CHUNK ? deliver_flush(v, call) : PM_OK;
}

int32_t
deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
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

void
deliver_fill_results(const struct dlv *d, struct pm_result *ret, size_t stride)
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

int32_t
deliver_check_quota(const struct dlv *v, const struct rcpt *r)
{
	uint64_t octets = r->head.n + v->bytes;

	return deliver_over(r->box.octets, octets, r->quota_octets) ||
			       deliver_over(0, octets, r->domain_octets)
		       ? PM_QUOTA
		       : PM_OK;
}

int32_t
deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
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
		rc = deliver_flush(v, call);
	if (rc != PM_OK)
		return rc;
	v->prepared = true;
	for (struct rcpt *r = v->first; r; r = r->next)
		r->rc = deliver_check_quota(v, r);
	deliver_fill_results(v, ret, stride);
	return PM_OK;
}
