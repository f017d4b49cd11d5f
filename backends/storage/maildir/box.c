/* SPDX-License-Identifier: Apache-2.0 */
/* One mailbox of one session: open, info, close. Files of a maildir are immutable, so nothing but
 * the maildir is locked (lock.c). */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "commit.h"
#include "dir.h"
#include "lock.h"
#include "maildir.h"
#include "message.h"
#include "remove.h"
#include "say.h"
#include "scan.h"
#include "snap.h"
#include "sweep.h"

/* ---- open, close ----------------------------------------------------------------------------- */

static void
box_free(struct mbox *m)
{
	scan_free(m->scanner);
	snap_free(m->snap);
	if (m->lock != -1)
		(void)close(m->lock);
	if (m->fd != -1)
		(void)close(m->fd); /* both release the lock */
	free(m);
}

/* A mailbox that nobody has delivered to yet is empty, and nothing is made. */
static bool
set_empty(struct mbox *m)
{
	m->snap = calloc(1, sizeof(*m->snap));
	return m->snap != NULL;
}

static int32_t
lock_box(struct mbox *m, const struct pm_call *call)
{
	int e;

	if (!(m->flags & PM_OPEN_EXCLUSIVE))
		return PM_OK;
	lock_tell_remote(m->inst, m->fd);
	e = lock_session(m->inst, m->fd, &m->lock);
	if (e == 0 || e == EWOULDBLOCK)
		return e == 0 ? PM_OK : PM_BUSY;
	sdk_error(call, "cannot lock the maildir: %s", strerrordesc_np(e));
	return PM_TEMP;
}

/* For sessions, and for looks whether there is anything to do (PM_OPEN_OVER). Snapshots in the
 * cache keep hidden messages apart: they serve such a look if there are none. */
static void
take_cached(struct mbox *m)
{
	struct cache *c = m->inst->cache;
	struct snap now;

	if (!(m->flags & PM_OPEN_OVER) &&
	    (m->flags & (PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN)) != PM_OPEN_EXCLUSIVE)
		return;
	snap_stat(m->fd, &now);
	m->snap = cache_take(c, &now);
	if (m->snap && m->flags & PM_OPEN_HIDDEN && m->snap->hidden_n > 0) {
		cache_give(c, m->snap);
		m->snap = NULL;
	}
	m->cached = m->snap != NULL;
}

/* The first call of an open: path, lock, cache. */
static int32_t
box_open_first(struct inst *i, const struct pm_call *call, const struct pm_user *user,
	       uint32_t flags, struct mbox **ret)
{
	struct mbox *m = calloc(1, sizeof(*m));
	int32_t rc;

	if (!m)
		return PM_NOMEM;
	m->inst = i;
	m->flags = flags;
	m->fd = m->lock = -1;
	rc = dir_open(i, call, user, false, &m->fd);
	if (rc == PM_OK && m->fd == -1)
		rc = set_empty(m) ? PM_OK : PM_NOMEM;
	else if (rc == PM_OK)
		rc = lock_box(m, call);
	if (rc == PM_OK && !m->snap)
		take_cached(m);
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
	if (!m->snap)
		rc = scan_run(i, call, m->fd, flags, &m->scanner, &m->snap);
	if (rc == PM_AGAIN) {
		*ret_mbox = m;
		return rc;
	}
	scan_free(m->scanner);
	m->scanner = NULL;
	if (rc != PM_OK) {
		box_free(m); /* a failed open leaves no handle */
		return rc;
	}
	if (flags & (PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN))
		remove_hidden(m);
	*ret_count = m->snap->n;
	*ret_mbox = m;
	return PM_OK;
}

/* Forgets guesses: the next session has to try again, and a snapshot in the cache must not claim to
 * know a size that nobody could read. */
static void
forget_guesses(struct mbox *m)
{
	for (size_t k = 0; k < m->snap->n && m->guesses; k++) {
		struct item *it = &m->snap->items[k];

		if (it->guess)
			it->octets = UNKNOWN_OCTETS;
		it->guess = it->unread = false;
	}
}

void
box_close(void *mbox, const struct pm_call *call)
{
	struct mbox *m = mbox;

	(void)call;
	if (m->snap && m->fd != -1 && (m->flags & PM_OPEN_EXCLUSIVE)) {
		sweep_tmp(m);
		commit_learnt(m);
		forget_guesses(m);
		if (!m->committed && !m->snap->with_hidden) {
			cache_give(m->inst->cache, m->snap);
			m->snap = NULL;
		}
	} else if (m->cached) { /* a look neither puts mailboxes in nor takes them out */
		forget_guesses(m);
		cache_give(m->inst->cache, m->snap);
		m->snap = NULL;
	}
	box_free(m);
}

/* ---- info ------------------------------------------------------------------------------------ */

/* A size that only the name gives is good enough for lists, but not for a message that is about to
 * be sent. */
static bool
box_counts(const struct mbox *m, uint64_t k)
{
	const struct item *it = &m->snap->items[k];

	return it->octets == UNKNOWN_OCTETS || (it->unproven && message_is(m->msg, k));
}

/* Finds out all sizes of a range, in slices. */
static int32_t
need_sizes(struct mbox *m, const struct pm_call *call, uint64_t first, size_t n)
{
	int64_t until = 0;

	for (uint64_t k = first; k < first + n; k++) {
		int32_t rc;

		if (!box_counts(m, k))
			continue;
		if (until == 0)
			until = maildir_now(m->inst) + SLICE_MS;
		else if (maildir_now(m->inst) >= until)
			return PM_AGAIN;
		rc = message_is(m->msg, k) ? message_count_open(m->msg, call)
					   : message_count(m, call, &m->snap->items[k]);
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
		r->flags |= it->unread ? PM_MSG_UNREADABLE : 0;
	}
	if (want & PM_WANT_UIDL) {
		r->uidl_len = it->uidl_n;
		memcpy(r->uidl, m->snap->names + it->uidl, it->uidl_n);
	}
	if (want & PM_WANT_META && it->hidden_ms != 0)
		r->flags |= PM_MSG_HIDDEN | (it->hidden_ms <= m->opened_ms ? PM_MSG_OVER : 0);
	if (want & PM_WANT_DATES) {
		r->received_ms = (int64_t)it->arrival * 1000;
		r->first_retrieved_ms = it->first_ms;
		r->order = it->arrival;
	}
}

int32_t
box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	 uint32_t want, struct pm_msg *ret)
{
	struct mbox *m = mbox;
	int32_t rc;

	if (n > PM_SLICE_MAX || first > m->snap->n || n > m->snap->n - first)
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
		box_fill_info(m, &m->snap->items[first + k], want, &r);
		memcpy(at, &r, size < sizeof(r) ? size : sizeof(r));
	}
	return PM_OK;
}
