/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a session. The session goes on with the messages it was given: whenever the file
 * is not that of the snapshot, it is scanned again, and each message is looked for by its identity.
 */
#include "view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "index.h"
#include "location.h"
#include "mbox.h"
#include "names.h"
#include "parse.h"
#include "recover.h"
#include "say.h"
#include "scan.h"
#include "snap.h"

struct item *
view_item(const struct mbox *m, size_t k)
{
	return &(m->refreshing ? &m->old : &m->snap)->items[m->views[k].item];
}

bool
view_unchanged(const struct mbox *m)
{
	struct stat st;

	return m->fd != -1 && !m->refreshing && fstat(m->fd, &st) == 0 &&
	       snap_same_file(&st, &m->snap.st);
}

void
view_distrust(struct mbox *m)
{
	index_drop(m->inst, &m->place);
	m->snap.st = (struct stat){0};
	sdk_count(m->inst->host, "index_wrong", 1);
}

static int
by_identity(const void *a, const void *b, void *ctx)
{
	const struct item *items = ctx, *x = &items[*(const size_t *)a],
			  *y = &items[*(const size_t *)b];
	int d = memcmp(x->hash, y->hash, MBOX_HASH);

	return d ? d : x->twin < y->twin ? -1 : x->twin > y->twin;
}

/* Finds the item of `s` that is the same message as `it`; `order` is sorted. False: there is none.
 */
static bool
view_find(const struct snap *s, const size_t *order, const struct item *it, size_t *ret)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct item *x = &s->items[order[mid]];
		int d = memcmp(x->hash, it->hash, MBOX_HASH);

		if (d == 0)
			d = x->twin < it->twin ? -1 : x->twin > it->twin;
		if (d == 0) {
			*ret = order[mid];
			return true;
		}
		*(d < 0 ? &lo : &hi) = d < 0 ? mid + 1 : mid;
	}
	return false;
}

/* Finds the session's messages in the new snapshot. Those that are gone are put after its end, so
 * that they stay known. */
static int32_t
view_adopt(struct mbox *m)
{
	size_t *order = calloc(m->snap.n + 1, sizeof(*order)), gone = 0;
	bool ok = order && snap_room(&m->snap, m->snap.n + m->n + 1);

	for (size_t k = 0; ok && k < m->snap.n; k++)
		order[k] = k;
	if (ok)
		qsort_r(order, m->snap.n, sizeof(*order), by_identity, m->snap.items);
	for (size_t k = 0; ok && k < m->n; k++) {
		const struct item *it = &m->old.items[m->views[k].item];
		size_t at;

		if (it->gone || !view_find(&m->snap, order, it, &at)) {
			at = m->snap.n + gone++;
			m->snap.items[at] = *it;
			m->snap.items[at].gone = true;
			m->snap.items[at].dirty = false;
		}
		m->views[k].item = at;
	}
	free(order);
	if (ok)
		snap_free(&m->old);
	return ok ? PM_OK : PM_NOMEM;
}

void
view_abandon(struct mbox *m)
{
	recover_drop(&m->recovery);
	if (!m->refreshing)
		return;
	scan_reset(m);
	m->snap = m->old;
	m->old = (struct snap){0};
	m->refreshing = false;
}

int32_t
view_refresh(struct mbox *m, const struct pm_call *call)
{
	int32_t rc = location_lock(m->inst, call, &m->place, false, &m->fd, &m->held);

	if (rc == PM_OK && m->fd != -1 && !m->refreshing) {
		rc = recover_box(m->inst, call, &m->place, m->fd, &m->held, &m->recovery);
		if (rc == PM_OK && view_unchanged(m))
			return PM_OK;
	}
	if (rc != PM_OK)
		return rc;
	if (!m->refreshing) {
		m->old = m->snap;
		m->snap = (struct snap){0};
		m->refreshing = true;
	}
	rc = m->fd != -1 ? scan_run(m, call) : PM_OK; /* no file: all of them are gone */
	if (rc == PM_OK && m->fd != -1)
		rc = names_give(m, call);
	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK)
		rc = view_adopt(m);
	if (rc != PM_OK)
		view_abandon(m);
	m->refreshing = false;
	return rc;
}
