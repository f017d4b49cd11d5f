/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's view of a mailbox. mbox_open takes the lock and a snapshot, which later deliveries
 * and deletions do not change. The commit works on the snapshot's messages, so numbers cannot
 * shift.
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "conf.h"
#include "ram.h"
#include "say.h"

struct reading {
	const struct ram_message *m; /* NULL: no message is open */
	size_t at;
};

/* One session. */
struct mbox {
	struct ram *ram;
	struct ram_box *box;
	bool exclusive;
	struct reading reading; /* one message at a time */
	uint64_t n;
	struct ram_message *msgs[];
};

/* ---- opening and closing --------------------------------------------------------------------- */

/* UTC by which hidden messages are over; 0: none is, since the clock is in doubt. Older hosts do
 * not say. */
static int64_t
expire_ms(const struct pm_host *h)
{
	bool says = h->size > offsetof(struct pm_host, expire_ms) && h->expire_ms;

	return says ? h->expire_ms(h->ctx) : h->wall_ms(h->ctx);
}

/* The session with the lock deletes hidden messages whose time has come. Under the mutex. */
static void
expire_hidden(struct ram *ram, struct ram_box *box)
{
	int64_t now = expire_ms(ram->host);

	for (size_t i = 0; i < box->n; i++)
		if (box->msgs[i]->hidden_until_ms != 0 && box->msgs[i]->hidden_until_ms <= now)
			box->msgs[i]->gone = true;
	ram_box_sweep(box);
}

/* Under the mutex. */
static int32_t
store_open_locked(struct ram *ram, struct pm_str key, uint32_t flags, struct mbox **ret)
{
	struct ram_box *box = ram_box_get(ram, key);
	struct mbox *mb;

	if (!box)
		return key.n == 0 || key.n > PM_KEY_MAX ? PM_INVALID : PM_NOMEM;
	if ((flags & PM_OPEN_EXCLUSIVE) && box->locked)
		return PM_BUSY; /* at once: waiting is the host's business */
	if (flags & PM_OPEN_EXCLUSIVE)
		expire_hidden(ram, box);
	mb = calloc(1, sizeof(*mb) + box->n * sizeof(mb->msgs[0]));
	if (!mb)
		return PM_NOMEM;
	mb->ram = ram;
	mb->box = box;
	mb->exclusive = flags & PM_OPEN_EXCLUSIVE;
	for (size_t i = 0; i < box->n; i++) {
		struct ram_message *m = box->msgs[i];

		if (m->hidden_until_ms == 0 || (flags & PM_OPEN_HIDDEN)) {
			m->refs++;
			mb->msgs[mb->n++] = m;
		}
	}
	if (mb->exclusive)
		box->locked = true;
	*ret = mb;
	return PM_OK;
}

static int32_t
store_mbox_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
		uint64_t *ret_count, void **ret_mbox)
{
	struct ram *ram = inst;
	struct mbox *mb = NULL;
	int32_t rc;

	pthread_mutex_lock(&ram->mutex);
	rc = store_open_locked(ram, ram_box_key(user), flags, &mb);
	pthread_mutex_unlock(&ram->mutex);
	if (rc != PM_OK) {
		if (rc == PM_NOMEM)
			sdk_error(call, "no memory for the snapshot of a mailbox");
		return rc;
	}
	*ret_count = mb->n;
	*ret_mbox = mb;
	return PM_OK;
}

static void
store_mbox_close(void *mbox, const struct pm_call *call)
{
	struct mbox *mb = mbox;
	struct ram *ram = mb->ram;

	(void)call;
	pthread_mutex_lock(&ram->mutex);
	for (uint64_t i = 0; i < mb->n; i++)
		ram_message_put(mb->msgs[i]);
	if (mb->exclusive)
		mb->box->locked = false;
	pthread_mutex_unlock(&ram->mutex);
	free(mb);
}

/* ---- looking at messages --------------------------------------------------------------------- */

/* Only what was asked for, and only what lies inside the caller's record: it may be smaller than
 * ours when the host is older than this module (R1). */
static void
store_fill_info(const struct ram_message *m, uint32_t want, void *record)
{
	struct pm_msg x;
	uint32_t size;

	memcpy(&size, record, sizeof(size));
	memset(&x, 0, sizeof(x));
	memcpy(&x, record, size < sizeof(x) ? size : sizeof(x));
	if (want & PM_WANT_OCTETS) {
		x.octets = m->octets;
		x.stored_bytes = m->n;
	}
	if (want & PM_WANT_UIDL) {
		memcpy(x.uidl, m->uidl, m->uidl_len);
		x.uidl_len = m->uidl_len;
	}
	if (want & PM_WANT_DATES) {
		x.received_ms = m->received_ms;
		x.first_retrieved_ms = m->first_retrieved_ms;
		x.order = m->order;
	}
	if (want & PM_WANT_META) {
		memcpy(x.meta, m->meta, m->meta_len);
		x.meta_len = m->meta_len;
		x.flags = (m->utf8_header ? PM_MSG_UTF8_HEADER : 0) |
			  (m->hidden_until_ms != 0 ? PM_MSG_HIDDEN : 0);
	}
	memcpy(record, &x, size < sizeof(x) ? size : sizeof(x));
}

static int32_t
store_mbox_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		uint32_t want, struct pm_msg *ret)
{
	struct mbox *mb = mbox;

	(void)call;
	if (n > PM_SLICE_MAX || first > mb->n || n > mb->n - first)
		return PM_INVALID;
	pthread_mutex_lock(&mb->ram->mutex); /* marks may change in another session */
	for (size_t i = 0; i < n; i++)
		store_fill_info(mb->msgs[first + i], want, (char *)ret + i * stride);
	pthread_mutex_unlock(&mb->ram->mutex);
	return PM_OK;
}

static int32_t
store_msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *mb = mbox;

	(void)call;
	if (index >= mb->n || mb->reading.m)
		return PM_INVALID;
	mb->reading = (struct reading){.m = mb->msgs[index]};
	*ret_msg = &mb->reading;
	return PM_OK;
}

static int32_t
store_msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct reading *r = msg;
	size_t n = r->m->n - r->at;

	(void)call;
	if (n == 0)
		return PM_END;
	if (cap == 0)
		return PM_INVALID;
	if (n > cap)
		n = cap;
	memcpy(buf, r->m->bytes + r->at, n);
	r->at += n;
	*ret_got = n;
	return PM_OK;
}

static void
store_msg_close(void *msg, const struct pm_call *call)
{
	struct reading *r = msg;

	(void)call;
	r->m = NULL;
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* Under the mutex. Nothing in here can fail: that is the whole secret of "all or nothing" in
 * memory. When it is called again with the same maps, it finds its own work done and gives the same
 * answer. */
static uint64_t
store_apply(struct mbox *mb, const struct pm_commit *c)
{
	uint64_t done = 0;

	for (uint64_t i = 0; i < mb->n; i++) {
		struct ram_message *m = mb->msgs[i];

		if (sdk_bit(c->retrieved, i) && m->first_retrieved_ms == 0)
			m->first_retrieved_ms = c->now_ms;
		if (sdk_bit(c->restore, i))
			m->hidden_until_ms = m->first_retrieved_ms = 0;
		if (!sdk_bit(c->del, i))
			continue;
		if (c->keep_until_ms > 0)
			m->hidden_until_ms = c->keep_until_ms;
		else
			m->gone = true;
		done++;
	}
	ram_box_sweep(mb->box);
	return done;
}

static int32_t
store_mbox_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		  uint64_t *ret_done)
{
	struct mbox *mb = mbox;
	uint64_t done;

	(void)call;
	if (!mb->exclusive || commit->n != mb->n)
		return PM_INVALID;
	pthread_mutex_lock(&mb->ram->mutex);
	done = store_apply(mb, commit);
	pthread_mutex_unlock(&mb->ram->mutex);
	*ret_done = done;
	return PM_OK;
}

/* ---- mailboxes from outside ------------------------------------------------------------------ */

/* The cursor is the serial of the next mailbox. Mailboxes are never removed from the list. */
static bool
store_read_cursor(struct pm_str cursor, size_t *ret)
{
	size_t v = 0;

	if (cursor.n > 18)
		return false;
	for (size_t i = 0; i < cursor.n; i++) {
		if (cursor.p[i] < '0' || cursor.p[i] > '9')
			return false;
		v = v * 10 + (size_t)(cursor.p[i] - '0');
	}
	*ret = v;
	return true;
}

static void
fill_box(const struct ram_box *b, void *record)
{
	struct pm_box x;
	uint32_t size;
	size_t v = b->serial + 1, n = 0;
	char digits[24];

	memcpy(&size, record, sizeof(size));
	memset(&x, 0, sizeof(x));
	x.size = size;
	memcpy(x.key, b->key, b->key_n);
	x.key_len = (uint32_t)b->key_n;
	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		x.cursor[x.cursor_len++] = digits[--n];
	memcpy(record, &x, size < sizeof(x) ? size : sizeof(x));
}

static int32_t
store_box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
	       size_t stride, struct pm_box *ret, size_t *ret_got)
{
	struct ram *ram = inst;
	size_t at, got = 0;

	(void)call;
	if (!store_read_cursor(cursor, &at))
		return PM_INVALID;
	pthread_mutex_lock(&ram->mutex);
	for (; at < ram->n_boxes && got < n; at++)
		if (ram->boxes[at]->exists)
			fill_box(ram->boxes[at], (char *)ret + got++ * stride);
	pthread_mutex_unlock(&ram->mutex);
	*ret_got = got;
	return PM_OK;
}

static int32_t
store_box_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
	       struct pm_stat *ret_stat)
{
	struct ram *ram = inst;
	struct pm_stat x = {.size = ret_stat->size};
	const struct ram_box *b;
	bool exists;

	(void)call;
	pthread_mutex_lock(&ram->mutex);
	b = ram_box_find(ram, ram_box_key(user));
	exists = b && b->exists;
	for (size_t i = 0; exists && i < b->n; i++) {
		bool hidden = b->msgs[i]->hidden_until_ms != 0;

		x.count += !hidden;
		x.octets += hidden ? 0 : b->msgs[i]->octets;
		x.hidden += hidden;
		x.hidden_octets += hidden ? b->msgs[i]->octets : 0;
	}
	x.last_delivery_ms = exists ? b->last_delivery_ms : 0;
	pthread_mutex_unlock(&ram->mutex);
	if (!exists)
		return PM_NOENT;
	memcpy(ret_stat, &x, x.size < sizeof(x) ? x.size : sizeof(x));
	return PM_OK;
}

static int32_t
store_box_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	struct ram *ram = inst;
	struct ram_box *b;
	int32_t rc = PM_NOENT;

	(void)call;
	pthread_mutex_lock(&ram->mutex);
	b = ram_box_find(ram, ram_box_key(user));
	if (b && b->exists)
		rc = b->locked ? PM_BUSY : PM_OK;
	if (rc == PM_OK) {
		for (size_t i = 0; i < b->n; i++)
			b->msgs[i]->gone = true;
		ram_box_sweep(b);
		b->n_imports = 0;
		b->exists = false;
	}
	pthread_mutex_unlock(&ram->mutex);
	return rc;
}

static int32_t
store_box_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		struct pm_str *ret_place)
{
	struct pm_str key = ram_box_key(user);
	char text[PM_KEY_MAX + 40];
	int n;

	if (key.n == 0 || key.n > PM_KEY_MAX)
		return PM_PERM;
	n = snprintf(text, sizeof(text), "%p/%.*s", inst, (int)key.n, key.p);
	*ret_place = sdk_call_dup(call, text, (size_t)n);
	return ret_place->p ? PM_OK : PM_NOMEM;
}

const struct pm_storage ram_storage = {
	.size = sizeof(ram_storage),
	.mbox_open = store_mbox_open,
	.mbox_info = store_mbox_info,
	.msg_open = store_msg_open,
	.msg_read = store_msg_read,
	.msg_close = store_msg_close,
	.mbox_commit = store_mbox_commit,
	.mbox_close = store_mbox_close,
	.box_list = store_box_list,
	.box_stat = store_box_stat,
	.box_delete = store_box_delete,
	.box_place = store_box_place,
};
