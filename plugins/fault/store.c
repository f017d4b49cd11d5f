/* SPDX-License-Identifier: Apache-2.0 */
/* A handle of ours holds the wrapped module's. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "fault.h"

struct message {
	struct fault *f; /* NULL: none is open */
	void *inner;
};

struct mbox {
	struct fault *f;
	void *inner;            /* NULL: its open was never reached */
	struct message message; /* one at a time */
};

/* ---- opening --------------------------------------------------------------------------------- */

/* The wrapped module has opened it, and by the script it is not open. */
static void
undo_open(struct mbox *mb, const struct pm_call *call)
{
	if (mb->inner)
		mb->f->inner->storage->mbox_close(mb->inner, call);
	free(mb);
}

static int32_t
store_mbox_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
		uint64_t *ret_count, void **ret_mbox)
{
	struct fault *f = inst;
	struct mbox *mb = *ret_mbox;
	struct fault_turn t;
	uint64_t count = 0;
	int32_t rc;

	if (!f->inner->storage)
		return PM_UNSUPPORTED;
	if (!mb && !(mb = calloc(1, sizeof(*mb))))
		return PM_NOMEM;
	mb->f = f;
	if (fault_begin(f, FN_MBOX_OPEN, call, &t)) {
		rc = t.rc;
	} else {
		rc = f->inner->storage->mbox_open(f->inner_inst, call, user, flags, &count,
						  &mb->inner);
		if (rc != PM_OK && rc != PM_AGAIN)
			mb->inner = NULL; /* a failure ends a handle in the making */
		rc = fault_end(&t, rc);
	}
	if (rc != PM_OK && rc != PM_AGAIN) {
		undo_open(mb, call);
		return rc;
	}
	if (rc == PM_OK)
		*ret_count = count;
	*ret_mbox = mb;
	return rc;
}

static void
store_mbox_close(void *mbox, const struct pm_call *call)
{
	struct mbox *mb = mbox;
	struct fault_turn t;

	(void)fault_begin(mb->f, FN_MBOX_CLOSE, call, &t); /* it can only have slept */
	undo_open(mb, call);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void
lie_about_octets(struct pm_msg *ret, size_t n, size_t stride, int64_t amount)
{
	for (size_t i = 0; i < n; i++) {
		struct pm_msg *m = (struct pm_msg *)(void *)((char *)ret + i * stride);

		if (m->size >= offsetof(struct pm_msg, octets) + sizeof(m->octets))
			m->octets += (uint64_t)amount; /* a negative amount wraps: it subtracts */
	}
}

static void
store_lose(struct pm_msg *ret, size_t n, size_t stride, uint64_t first, uint64_t number)
{
	if (number <= first || number - first > n)
		return;
	ret = (struct pm_msg *)(void *)((char *)ret + (number - first - 1) * stride);
	ret->flags |= PM_MSG_UNREADABLE; /* as old as the record itself */
}

static int32_t
store_mbox_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		uint32_t want, struct pm_msg *ret)
{
	struct mbox *mb = mbox;
	const struct pm_storage *inner = mb->f->inner->storage;
	struct fault_turn t;
	char *mine = NULL;
	int32_t rc;

	if (fault_begin(mb->f, FN_MBOX_INFO, call, &t))
		return t.rc;
	if (t.after) { /* a discarded answer must not reach the host's records (R5) */
		mine = calloc(n ? n : 1, stride);
		if (!mine)
			return PM_NOMEM;
		for (size_t i = 0; i < n; i++)
			memcpy(mine + i * stride, (char *)ret + i * stride, sizeof(ret->size));
		ret = (struct pm_msg *)(void *)mine;
	}
	rc = inner->mbox_info(mb->inner, call, first, n, stride, want, ret);
	if (rc == PM_OK && t.lie != 0 && (want & PM_WANT_OCTETS))
		lie_about_octets(ret, n, stride, t.lie);
	if (rc == PM_OK && (want & PM_WANT_OCTETS))
		store_lose(ret, n, stride, first, t.unread);
	free(mine);
	return fault_end(&t, rc);
}

static int32_t
store_msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *mb = mbox;
	const struct pm_storage *inner = mb->f->inner->storage;
	struct fault_turn t;
	void *message = NULL;
	int32_t rc;

	if (mb->message.f)
		return PM_INVALID;
	if (fault_begin(mb->f, FN_MSG_OPEN, call, &t))
		return t.rc;
	rc = inner->msg_open(mb->inner, call, index, &message);
	if (rc != PM_OK)
		return fault_end(&t, rc);
	if (t.after && t.rc != PM_OK) {
		inner->msg_close(message, call);
		return t.rc;
	}
	mb->message = (struct message){.f = mb->f, .inner = message};
	*ret_msg = &mb->message;
	return PM_OK;
}

static int32_t
store_msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct message *m = msg;
	struct fault_turn t;
	size_t got = 0;
	int32_t rc;

	/* a failed read keeps the position, so it cannot have read */
	if (fault_begin(m->f, FN_MSG_READ, call, &t) || t.after)
		return t.rc;
	if (cap > t.cap)
		cap = t.cap;
	rc = m->f->inner->storage->msg_read(m->inner, call, buf, cap, &got);
	if (rc == PM_OK)
		*ret_got = got;
	return rc;
}

static int32_t
msg_fd(void *msg, const struct pm_call *call, int32_t *ret_fd, uint64_t *ret_off, uint64_t *ret_len)
{
	struct message *m = msg;
	uint64_t off = 0, len = 0;
	struct fault_turn t;
	int32_t fd = -1, rc;

	if (!m->f->inner->storage->msg_fd)
		return PM_UNSUPPORTED;
	if (fault_begin(m->f, FN_MSG_FD, call, &t))
		return t.rc;
	rc = fault_end(&t, m->f->inner->storage->msg_fd(m->inner, call, &fd, &off, &len));
	if (rc == PM_OK) {
		*ret_fd = fd;
		*ret_off = off;
		*ret_len = len;
	}
	return rc;
}

static void
store_msg_close(void *msg, const struct pm_call *call)
{
	struct message *m = msg;
	struct fault_turn t;

	(void)fault_begin(m->f, FN_MSG_CLOSE, call, &t); /* it can only have slept */
	m->f->inner->storage->msg_close(m->inner, call);
	m->f = NULL;
}

static int32_t
store_mbox_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		  uint64_t *ret_done)
{
	struct mbox *mb = mbox;
	struct fault_turn t;
	uint64_t done = 0;
	int32_t rc;

	if (fault_begin(mb->f, FN_MBOX_COMMIT, call, &t))
		return t.rc;
	rc = fault_end(&t, mb->f->inner->storage->mbox_commit(mb->inner, call, commit, &done));
	if (rc == PM_OK || rc == PM_PARTIAL)
		*ret_done = done;
	return rc;
}

/* ---- mailboxes from outside ------------------------------------------------------------------ */

static int32_t
store_box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
	       size_t stride, struct pm_box *ret, size_t *ret_got)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->storage || !f->inner->storage->box_list)
		return PM_UNSUPPORTED;
	/* a list changes nothing: to fail after it is to fail before it */
	if (fault_begin(f, FN_BOX_LIST, call, &t) || t.after)
		return t.rc;
	return f->inner->storage->box_list(f->inner_inst, call, cursor, n, stride, ret, ret_got);
}

static int32_t
store_box_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
	       struct pm_stat *ret_stat)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->storage || !f->inner->storage->box_stat)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_BOX_STAT, call, &t) || t.after)
		return t.rc;
	return f->inner->storage->box_stat(f->inner_inst, call, user, ret_stat);
}

static int32_t
store_box_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->storage || !f->inner->storage->box_delete)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_BOX_DELETE, call, &t))
		return t.rc;
	return fault_end(&t, f->inner->storage->box_delete(f->inner_inst, call, user));
}

static int32_t
store_box_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		struct pm_str *ret_place)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->storage || !f->inner->storage->box_place)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_BOX_PLACE, call, &t) || t.after)
		return t.rc;
	return f->inner->storage->box_place(f->inner_inst, call, user, ret_place);
}

const struct pm_storage fault_storage = {
	.size = sizeof(fault_storage),
	.mbox_open = store_mbox_open,
	.mbox_info = store_mbox_info,
	.msg_open = store_msg_open,
	.msg_read = store_msg_read,
	.msg_fd = msg_fd,
	.msg_close = store_msg_close,
	.mbox_commit = store_mbox_commit,
	.mbox_close = store_mbox_close,
	.box_list = store_box_list,
	.box_stat = store_box_stat,
	.box_delete = store_box_delete,
	.box_place = store_box_place,
};
