/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mailbox of one session: open, info, read, close. The session's lock is flock(2) on the
 * maildir itself: exclusive also between two sessions of this process, gone with the process, and
 * it needs no file and no space. Files of a maildir are immutable, so nothing else is locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "conf.h"
#include "maildir.h"
#include "octets.h"

#define COUNT_PIECE 65536

struct msg {
	struct mbox *mbox;
	int fd;
	uint64_t at;
};

static const char *
box_name_of(const struct mbox *m, const struct item *it)
{
	return m->scan->names + it->name;
}

/* ---- open, close ----------------------------------------------------------------------------- */

static void
box_free(struct mbox *m)
{
	scanner_free(m->scanner);
	scan_free(m->scan);
	if (m->fd != -1)
		(void)close(m->fd); /* releases the lock */
	free(m);
}

/* A mailbox nobody has delivered to yet: empty, and nothing is made. */
static bool
set_empty(struct mbox *m)
{
	m->scan = calloc(1, sizeof(*m->scan));
	return m->scan != NULL;
}

static int32_t
lock_box(struct mbox *m, const struct pm_call *call)
{
	if (!(m->flags & PM_OPEN_EXCLUSIVE) || flock(m->fd, LOCK_EX | LOCK_NB) == 0)
		return PM_OK;
	if (errno == EWOULDBLOCK)
		return PM_BUSY;
	sdk_error(call, "cannot lock the maildir: %s", strerrordesc_np(errno));
	return PM_TEMP;
}

/* The first call of an open: path, lock, cache. */
static int32_t
box_open_first(struct inst *i, const struct pm_call *call, const struct pm_user *user,
	       uint32_t flags, struct mbox **ret)
{
	struct mbox *m = calloc(1, sizeof(*m));
	struct scan now;
	int32_t rc;

	if (!m)
		return PM_NOMEM;
	m->inst = i;
	m->flags = flags;
	m->fd = -1;
	rc = maildir_open_dir(i, call, user, false, &m->fd);
	if (rc == PM_OK && m->fd == -1)
		rc = set_empty(m) ? PM_OK : PM_NOMEM;
	else if (rc == PM_OK)
		rc = lock_box(m, call);
	if (rc == PM_OK && !m->scan &&
	    (flags & (PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN)) == PM_OPEN_EXCLUSIVE) {
		scan_stat(m->fd, &now);
		m->scan = cache_take(i->cache, &now);
	}
	if (rc != PM_OK) {
		box_free(m);
		return rc;
	}
	*ret = m;
	return PM_OK;
}

int32_t
box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
	 uint64_t *ret_count, void **ret_mbox)
{
	struct inst *i = inst;
	struct mbox *m = *ret_mbox;
	int32_t rc = PM_OK;

	if (!m)
		rc = box_open_first(i, call, user, flags, &m);
	if (rc != PM_OK)
		return rc;
	if (!m->scan)
		rc = scan_run(i, call, m->fd, flags, &m->scanner, &m->scan);
	if (rc == PM_AGAIN) {
		*ret_mbox = m;
		return rc;
	}
	scanner_free(m->scanner);
	m->scanner = NULL;
	if (rc != PM_OK) {
		box_free(m); /* a failure ends a handle in the making */
		return rc;
	}
	if (flags & (PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN))
		remove_hidden(m);
	*ret_count = m->scan->n;
	*ret_mbox = m;
	return PM_OK;
}

void
box_close(void *mbox, const struct pm_call *call)
{
	struct mbox *m = mbox;

	(void)call;
	if (m->scan && m->fd != -1 && (m->flags & PM_OPEN_EXCLUSIVE)) {
		commit_learnt(m);
		if (!m->committed && !m->scan->with_hidden) {
			cache_give(m->inst->cache, m->scan);
			m->scan = NULL;
		}
	}
	box_free(m);
}

/* ---- info ------------------------------------------------------------------------------------ */

/* Opens an item's file, found again if another reader renamed it. -1: *ret_rc says why. */
static int
item_open(struct mbox *m, const struct pm_call *call, struct item *it, int32_t *ret_rc)
{
	char path[300];
	struct stat st;
	bool gone = false;
	int fd = -1;

	for (int tries = 0; tries < RELOCATE_TRIES && fd == -1; tries++) {
		scan_path(m->scan, it, path, sizeof(path));
		fd = openat(m->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		gone = fd == -1 && errno == ENOENT;
		if (fd == -1 && (!gone || !find_again(m->fd, m->scan, it)))
			break;
	}
	if (fd == -1) {
		*ret_rc = gone ? PM_GONE : errno == EACCES || errno == ELOOP ? PM_PERM : PM_TEMP;
		if (!gone)
			sdk_error(call, "cannot open %s: %s", path, strerrordesc_np(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		sdk_error(call, "%s is not a regular file", path);
		*ret_rc = PM_PERM;
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Counts a file's octets on the wire. */
int32_t
box_count_item(struct mbox *m, const struct pm_call *call, struct item *it)
{
	struct sdk_octets o;
	int32_t rc = PM_OK;
	char *buf;
	ssize_t got = 0;
	int fd = item_open(m, call, it, &rc);

	if (fd == -1) {
		if (rc != PM_GONE)
			return rc;
		/* it went since the snapshot: whoever asks for it is told; its size is nobody's
		 * any more */
		it->octets = it->stored = 0;
		return PM_OK;
	}
	buf = malloc(COUNT_PIECE);
	sdk_octets_init(&o);
	while (buf && (got = read(fd, buf, COUNT_PIECE)) > 0)
		sdk_octets_feed(&o, buf, (size_t)got);
	if (!buf || got < 0) {
		rc = buf ? PM_TEMP : PM_NOMEM;
		sdk_error(call, "reading %s: %s", box_name_of(m, it),
			  buf ? strerrordesc_np(errno) : "no memory");
	} else {
		it->octets = sdk_octets_total(&o);
		it->stored = o.stored;
		it->dirty = true;
		m->scan->dirty = true;
	}
	free(buf);
	(void)close(fd);
	return rc;
}

/* All sizes of a range, in slices. */
static int32_t
need_sizes(struct mbox *m, const struct pm_call *call, uint64_t first, size_t n)
{
	int64_t until = 0;

	for (uint64_t k = first; k < first + n; k++) {
		struct item *it = &m->scan->items[k];
		int32_t rc;

		if (it->octets != UNKNOWN_OCTETS)
			continue;
		if (until == 0)
			until = maildir_now(m->inst) + SLICE_MS;
		else if (maildir_now(m->inst) >= until)
			return PM_AGAIN;
		rc = box_count_item(m, call, it);
		if (rc != PM_OK)
			return rc;
	}
	return PM_OK;
}

static void
box_fill_info(const struct mbox *m, const struct item *it, uint32_t want, struct pm_msg *r)
{
	if (want & PM_WANT_OCTETS) {
		r->octets = it->octets;
		r->stored_bytes = it->stored;
	}
	if (want & PM_WANT_UIDL) {
		r->uidl_len = it->uidl_n;
		memcpy(r->uidl, m->scan->names + it->uidl, it->uidl_n);
	}
	if (want & PM_WANT_META)
		r->flags = it->hidden_ms != 0 ? PM_MSG_HIDDEN : 0;
	if (want & PM_WANT_DATES) {
		r->received_ms = (int64_t)it->arrival * 1000;
		r->first_retrieved_ms = it->first_ms;
		r->order = it->arrival;
	}
}

static int32_t
box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	 uint32_t want, struct pm_msg *ret)
{
	struct mbox *m = mbox;
	int32_t rc;

	if (n > PM_SLICE_MAX || first > m->scan->n || n > m->scan->n - first)
		return PM_INVALID;
	if (want & PM_WANT_OCTETS) {
		rc = need_sizes(m, call, first, n);
		if (rc != PM_OK)
			return rc;
	}
	for (size_t k = 0; k < n; k++) {
		char *at = (char *)ret + k * stride;
		uint32_t size;
		struct pm_msg r;

		/* R1: the host's record may be smaller or larger than ours */
		memcpy(&size, at, sizeof(size));
		memset(&r, 0, sizeof(r));
		r.size = size;
		box_fill_info(m, &m->scan->items[first + k], want, &r);
		memcpy(at, &r, size < sizeof(r) ? size : sizeof(r));
	}
	return PM_OK;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int32_t
box_msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *m = mbox;
	struct item *it;
	struct stat st;
	struct msg *g;
	int32_t rc = PM_OK;
	int fd;

	if (index >= m->scan->n)
		return PM_INVALID;
	it = &m->scan->items[index];
	fd = item_open(m, call, it, &rc);
	if (fd == -1)
		return rc;
	/* files are immutable; one of another size than announced would make LIST a lie */
	if (it->octets != UNKNOWN_OCTETS &&
	    (fstat(fd, &st) != 0 || (uint64_t)st.st_size != it->stored)) {
		sdk_error(call, "%s has changed its size; it is counted again in the next session",
			  box_name_of(m, it));
		it->octets = UNKNOWN_OCTETS;
		it->dirty = true;
		m->scan->dirty = true;
		(void)close(fd);
		return PM_TEMP;
	}
	g = calloc(1, sizeof(*g));
	if (!g) {
		(void)close(fd);
		return PM_NOMEM;
	}
	g->mbox = m;
	g->fd = fd;
	*ret_msg = g;
	return PM_OK;
}

static int32_t
box_msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct msg *g = msg;
	ssize_t got = pread(g->fd, buf, cap, (off_t)g->at);

	if (got < 0) {
		sdk_error(call, "reading a message: %s", strerrordesc_np(errno));
		return PM_TEMP; /* the position is kept */
	}
	if (got == 0)
		return PM_END;
	g->at += (uint64_t)got;
	*ret_got = (size_t)got;
	return PM_OK;
}

static void
box_msg_close(void *msg, const struct pm_call *call)
{
	struct msg *g = msg;

	(void)call;
	(void)close(g->fd); /* only read from */
	free(g);
}

const struct pm_storage maildir_storage = {
	.size = sizeof(maildir_storage),
	.mbox_open = box_open,
	.mbox_info = box_info,
	.msg_open = box_msg_open,
	.msg_read = box_msg_read,
	.msg_close = box_msg_close,
	.mbox_commit = maildir_commit,
	.mbox_close = box_close,
	.box_list = maildir_list,
	.box_stat = maildir_stat,
	.box_delete = maildir_delete,
	.box_place = maildir_place,
};
