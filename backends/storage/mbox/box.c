/* SPDX-License-Identifier: Apache-2.0 */
/* One mailbox of one session. The MTA's locks are held while the file is scanned, and then
 * released: during the session mail is appended, and other programs change the file (view.c). */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doomed.h"
#include "expire.h"
#include "journal.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "recover.h"
#include "say.h"
#include "scan.h"
#include "snap.h"
#include "view.h"

/* ---- open, close ----------------------------------------------------------------------------- */

static void
box_free(struct mbox *m)
{
	journal_free(m->journal);
	doomed_abandon(m);
	recover_drop(&m->recovery);
	lock_release(&m->held, m->fd);
	scan_reset(m);
	snap_free(&m->old);
	free(m->views);
	if (m->fd != -1)
		(void)close(m->fd);
	if (m->session != -1)
		(void)close(m->session); /* releases the lock */
	free(m);
}

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
	m->fd = m->session = -1;
	rc = location_make(i, call, user, &m->place);
	if (rc == PM_OK && (flags & PM_OPEN_EXCLUSIVE))
		rc = lock_session(i, call, &m->place, &m->session);
	if (rc != PM_OK) {
		box_free(m);
		return rc;
	}
	*ret = m;
	return PM_OK;
}

/* Makes the session's list: every message but the hidden ones, and those that were hidden until
 * their time was over. */
static int32_t
make_views(struct mbox *m)
{
	int64_t now = sdk_expire_ms(m->inst->host);

	m->views = calloc(m->snap.n + 1, sizeof(*m->views));
	if (!m->views)
		return PM_NOMEM;
	for (size_t k = 0; k < m->snap.n; k++) {
		const struct item *it = &m->snap.items[k];

		if (it->internal)
			continue;
		if (it->hidden_ms != 0 && (it->hidden_ms <= now || !(m->flags & PM_OPEN_HIDDEN)))
			continue;
		m->views[m->n++] = (struct view){.item = k, .octets = it->octets};
	}
	return PM_OK;
}

/* A session on a file that holds text and no message would call it empty. Totals do, so that mail
 * is delivered there. */
static int32_t
box_refuse(const struct mbox *m, const struct pm_call *call)
{
	if (m->snap.n > 0 || !m->snap.text || m->flags & BOX_OPEN_COUNT)
		return PM_OK;
	sdk_error(call,
		  "'%s' holds %llu bytes and no From_ line: it is no mbox, or a damaged one; it is "
		  "left as it is",
		  m->place.path, (unsigned long long)m->snap.junk);
	return PM_PERM;
}

/* Takes the locks, recovers, scans: in slices. */
static int32_t
box_go_on(struct mbox *m, const struct pm_call *call)
{
	int32_t rc = PM_OK;

	if (m->stage == STAGE_LOCK) {
		rc = location_lock(m->inst, call, &m->place, false, &m->fd, &m->held);
		if (rc == PM_OK && m->fd != -1)
			rc = recover_box(m->inst, call, &m->place, m->fd, &m->held, &m->recovery);
		if (rc == PM_OK)
			m->stage = m->fd == -1 ? STAGE_DONE : STAGE_SCAN;
	}
	if (rc == PM_OK && m->stage == STAGE_SCAN) {
		rc = scan_run(m, call);
		if (rc == PM_OK)
			rc = names_give(m, call);
		if (rc == PM_OK)
			rc = box_refuse(m, call);
		if (rc != PM_OK)
			return rc;
		lock_release(&m->held, m->fd);
		m->stage = STAGE_DONE;
	}
	return rc == PM_OK ? make_views(m) : rc;
}

int32_t
box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
	 uint64_t *ret_count, void **ret_mbox)
{
	struct mbox *m = *ret_mbox;
	int32_t rc = PM_OK;

	if (!m)
		rc = box_open_first(inst, call, user, flags, &m);
	if (rc != PM_OK)
		return rc;
	rc = box_go_on(m, call);
	if (rc == PM_AGAIN) {
		*ret_mbox = m;
		return rc;
	}
	if (rc != PM_OK) {
		box_free(m); /* a failed open leaves no handle */
		return rc;
	}
	*ret_count = m->n;
	*ret_mbox = m;
	return PM_OK;
}

void
box_close(void *mbox, const struct pm_call *call)
{
	struct mbox *m = mbox;

	(void)call;
	if (m->stage == STAGE_DONE && (m->flags & PM_OPEN_EXCLUSIVE) && !m->committed &&
	    !m->refreshing)
		names_learnt(m);
	box_free(m);
}

/* ---- info ------------------------------------------------------------------------------------ */

int32_t
box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	 uint32_t want, struct pm_msg *ret)
{
	struct mbox *m = mbox;

	(void)call;
	if (n > PM_SLICE_MAX || first > m->n || n > m->n - first)
		return PM_INVALID;
	for (size_t k = 0; k < n; k++) {
		const struct view *v = &m->views[first + k];
		const struct item *it = view_item(m, first + k);
		char *at = (char *)ret + k * stride;
		struct pm_msg r = {0};

		memcpy(&r.size, at,
		       sizeof(r.size)); /* R1: the host's record may be larger than ours */
		if (want & PM_WANT_OCTETS) {
			r.octets = v->octets;
			r.stored_bytes = it->stored;
		}
		if (want & PM_WANT_UIDL) {
			r.uidl_len = it->uidl_n;
			memcpy(r.uidl, it->uidl, it->uidl_n);
		}
		if (want & PM_WANT_DATES) {
			r.received_ms = it->received_ms;
			r.first_retrieved_ms = it->first_ms;
			r.order = first + k;
		}
		if (want & PM_WANT_META)
			r.flags = it->hidden_ms != 0 ? PM_MSG_HIDDEN : 0;
		memcpy(at, &r, r.size < sizeof(r) ? r.size : sizeof(r));
	}
	return PM_OK;
}

/* ---- the file changed ------------------------------------------------------------------------ */
