/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message to several recipients. It is collected in a buffer of the delivery's own; prepare
 * makes a message for each recipient, and no more memory is needed later; commit puts them into
 * their mailboxes. Each recipient has an outcome of his own.
 */
#include "deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "ram.h"

struct rcpt {
	struct rcpt *next;
	struct ram_message *m; /* made by prepare; NULL: not prepared, or handed to the mailbox */
	int32_t rc;
	uint64_t quota_octets, quota_msgs;
	uint64_t order;
	int64_t received_ms, first_retrieved_ms;
	uint8_t meta[64], meta_len;
	uint32_t uidl_len;
	char uidl[PM_UIDL_MAX];
	size_t key_n, head_n;
	char text[]; /* key, then head */
};

struct dlv {
	struct ram *ram;
	uint32_t flags;
	struct rcpt *first, **last;
	unsigned char *text;
	size_t n, cap;
};

/* ---- begin, recipients, text ----------------------------------------------------------------- */

static int32_t
deliver_dlv_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
		  void **ret_dlv)
{
	struct ram *ram = inst;
	struct dlv *d;

	(void)call;
	if (size_hint > ram->max_bytes)
		return PM_TOOBIG; /* before a single byte was sent */
	d = calloc(1, sizeof(*d));
	if (!d)
		return PM_NOMEM;
	d->ram = ram;
	d->flags = flags;
	d->last = &d->first;
	*ret_dlv = d;
	return PM_OK;
}

static bool
deliver_uidl_ok(struct pm_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	return s.n <= PM_UIDL_MAX;
}

/* Is an imported unique-id there, or was it ever? A restore only asks whether it is. Under the
 * mutex. */
static bool
deliver_known(const struct dlv *d, const struct ram_box *box, const struct rcpt *r)
{
	return ram_box_has_uidl(box, r->uidl, r->uidl_len) ||
	       (!(d->flags & PM_DLVF_RESTORE) && ram_box_imported(box, r->uidl, r->uidl_len));
}

/* A recipient who cannot be served is refused here, before the sender has sent a byte. */
static int32_t
check_rcpt(const struct dlv *d, struct pm_str key, const struct rcpt *r)
{
	const struct ram_box *box;
	bool there;

	if (r->uidl_len == 0)
		return PM_OK;
	pthread_mutex_lock(&d->ram->mutex);
	box = ram_box_find(d->ram, key);
	there = box && deliver_known(d, box, r);
	pthread_mutex_unlock(&d->ram->mutex);
	return there ? PM_EXISTS : PM_OK;
}

static int32_t
deliver_dlv_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct pm_str key = ram_box_key(rcpt->user);
	struct rcpt *r;
	int32_t rc;

	(void)call;
	if (d->n > 0 || key.n == 0 || key.n > PM_KEY_MAX || rcpt->meta.n > sizeof(r->meta) ||
	    !deliver_uidl_ok(rcpt->uidl) || rcpt->order > INT64_MAX)
		return PM_INVALID;
	if (rcpt->head.n > d->ram->max_bytes)
		return PM_TOOBIG;
	r = calloc(1, sizeof(*r) + key.n + rcpt->head.n);
	if (!r)
		return PM_NOMEM;
	r->quota_octets = rcpt->user->quota_octets;
	r->quota_msgs = rcpt->user->quota_msgs;
	r->meta_len = (uint8_t)rcpt->meta.n;
	if (rcpt->meta.n > 0)
		memcpy(r->meta, rcpt->meta.p, rcpt->meta.n);
	if (d->flags & PM_DLVF_IMPORT) {
		r->order = rcpt->order;
		r->received_ms = rcpt->received_ms;
		r->first_retrieved_ms = rcpt->first_retrieved_ms;
		r->uidl_len = (uint32_t)rcpt->uidl.n;
		if (rcpt->uidl.n > 0)
			memcpy(r->uidl, rcpt->uidl.p, rcpt->uidl.n);
	}
	r->key_n = key.n;
	r->head_n = rcpt->head.n;
	memcpy(r->text, key.p, key.n);
	if (rcpt->head.n > 0)
		memcpy(r->text + key.n, rcpt->head.p, rcpt->head.n);
	rc = check_rcpt(d, key, r);
	if (rc != PM_OK) {
		free(r);
		return rc;
	}
	*d->last = r;
	d->last = &r->next;
	return PM_OK;
}

static int32_t
deliver_dlv_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	struct dlv *d = dlv;
	size_t cap = d->cap;
	unsigned char *text;

	(void)call;
	if (n == 0)
		return PM_OK;
	if (d->n > d->ram->max_bytes || n > d->ram->max_bytes - d->n)
		return PM_TOOBIG;
	while (cap - d->n < n)
		cap = cap ? cap * 2 : 4096; /* bounded by max_message above */
	if (cap != d->cap) {
		text = realloc(d->text, cap);
		if (!text)
			return PM_NOMEM;
		d->text = text;
		d->cap = cap;
	}
	memcpy(d->text + d->n, buf, n);
	d->n += n;
	return PM_OK;
}

/* ---- prepare --------------------------------------------------------------------------------- */

static bool
over_quota(const struct dlv *d, const struct rcpt *r, uint64_t octets)
{
	const struct ram_box *box;
	uint64_t used = 0, count = 0;

	if (r->quota_octets == 0 && r->quota_msgs == 0)
		return false;
	pthread_mutex_lock(&d->ram->mutex);
	box = ram_box_find(d->ram, (struct pm_str){r->text, r->key_n});
	for (size_t i = 0; box && i < box->n; i++) {
		used += box->msgs[i]->octets;
		count++;
	}
	pthread_mutex_unlock(&d->ram->mutex);
	return (r->quota_msgs > 0 && count + 1 > r->quota_msgs) ||
	       (r->quota_octets > 0 && used + octets > r->quota_octets);
}

static int32_t
deliver_prepare_one(struct dlv *d, struct rcpt *r)
{
	struct ram_message *m = ram_message_new(d->ram, r->head_n + d->n);

	if (!m)
		return PM_NOMEM;
	memcpy(m->bytes, r->text + r->key_n, r->head_n);
	if (d->n > 0)
		memcpy(m->bytes + r->head_n, d->text, d->n);
	ram_message_measure(m);
	memcpy(m->meta, r->meta, r->meta_len);
	m->meta_len = r->meta_len;
	m->order = r->order;
	m->first_retrieved_ms = r->first_retrieved_ms;
	if (r->received_ms > 0)
		m->received_ms = r->received_ms;
	if (over_quota(d, r, m->octets)) {
		free(m);
		return PM_QUOTA;
	}
	r->m = m;
	return PM_OK;
}

/* One record per accepted recipient, in their order; only what lies inside (R1). */
static void
fill_results(const struct dlv *d, struct pm_result *ret, size_t stride)
{
	char *at = (char *)ret;

	for (const struct rcpt *r = d->first; r; r = r->next, at += stride) {
		struct pm_result x;
		uint32_t size;

		memcpy(&size, at, sizeof(size));
		memset(&x, 0, sizeof(x));
		x.size = size;
		x.rc = r->rc;
		if (r->rc == PM_OK || r->rc == PM_EXISTS) {
			x.uidl_len = r->uidl_len;
			memcpy(x.uidl, r->uidl, r->uidl_len);
		}
		memcpy(at, &x, size < sizeof(x) ? size : sizeof(x));
	}
}

static int32_t
deliver_dlv_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;

	(void)call;
	if (!d->first)
		return PM_INVALID;
	for (struct rcpt *r = d->first; r; r = r->next)
		if (!r->m)
			r->rc = deliver_prepare_one(d, r);
	fill_results(d, ret, stride);
	return PM_OK;
}

/* ---- commit and abort ------------------------------------------------------------------------ */

/* Was this delivery made already, and its answer lost? Under the mutex. */
static const struct ram_message *
find_op(const struct ram_box *box, const uint8_t op_id[16])
{
	static const uint8_t none[16];

	if (memcmp(op_id, none, sizeof(none)) == 0)
		return NULL;
	for (size_t i = box->n; i-- > 0;)
		if (memcmp(box->msgs[i]->op_id, op_id, sizeof(none)) == 0)
			return box->msgs[i];
	return NULL;
}

static void
deliver_set_uidl(struct rcpt *r, const char *uidl, size_t n)
{
	memcpy(r->uidl, uidl, n);
	r->uidl_len = (uint32_t)n;
}

/* Under the mutex. */
static int32_t
deliver_publish(struct dlv *d, struct rcpt *r, const uint8_t op_id[16])
{
	struct ram_box *box = ram_box_get(d->ram, (struct pm_str){r->text, r->key_n});
	const struct ram_message *before;
	char uidl[48];

	if (!box)
		return PM_NOMEM;
	before = find_op(box, op_id);
	if (before) {
		deliver_set_uidl(r, before->uidl, before->uidl_len);
		return PM_OK;
	}
	if (r->uidl_len > 0 && deliver_known(d, box, r))
		return PM_EXISTS;
	if (r->uidl_len > 0 && !ram_box_note_import(box, r->uidl, r->uidl_len))
		return PM_NOMEM;
	if (r->uidl_len == 0) {
		snprintf(uidl, sizeof(uidl), "%s.%llu", d->ram->tag,
			 (unsigned long long)++d->ram->last_uidl);
		deliver_set_uidl(r, uidl, strlen(uidl));
	}
	(void)ram_message_set_uidl(r->m, r->uidl, r->uidl_len); /* it was checked */
	memcpy(r->m->op_id, op_id, sizeof(r->m->op_id));
	if (!ram_box_add(box, r->m))
		return PM_NOMEM;
	r->m = NULL; /* the mailbox's now */
	return PM_OK;
}

static void
deliver_dlv_free(struct dlv *d)
{
	while (d->first) {
		struct rcpt *r = d->first;

		d->first = r->next;
		free(r->m); /* nobody else has seen it */
		free(r);
	}
	free(d->text);
	free(d);
}

static int32_t
deliver_dlv_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;

	pthread_mutex_lock(&d->ram->mutex);
	for (struct rcpt *r = d->first; r; r = r->next)
		if (r->m)
			r->rc = deliver_publish(d, r, call->op_id);
	pthread_mutex_unlock(&d->ram->mutex);
	fill_results(d, ret, stride);
	deliver_dlv_free(d);
	return PM_OK;
}

static void
deliver_dlv_abort(void *dlv, const struct pm_call *call)
{
	(void)call;
	deliver_dlv_free(dlv);
}

const struct pm_delivery ram_delivery = {
	.size = sizeof(ram_delivery),
	.dlv_begin = deliver_dlv_begin,
	.dlv_rcpt = deliver_dlv_rcpt,
	.dlv_write = deliver_dlv_write,
	.dlv_prepare = deliver_dlv_prepare,
	.dlv_commit = deliver_dlv_commit,
	.dlv_abort = deliver_dlv_abort,
};
