/* SPDX-License-Identifier: Apache-2.0 */
/* Proves that the messages to be cut out are unchanged: they are hashed again, under the MTA's
 * locks. */
#include "doomed.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "index.h"
#include "lock.h"
#include "mbox.h"
#include "proof.h"
#include "say.h"
#include "snap.h"
#include "view.h"

/* True if a line that begins here may be a From_ line: the first one, or one after an empty line.
 */
static bool
after_empty(int fd, uint64_t at)
{
	char buf[3];
	size_t n = at < sizeof(buf) ? (size_t)at : sizeof(buf);

	if (n == 0)
		return true;
	if (bytes_read(fd, buf, n, at - n) != 0 || buf[--n] != '\n')
		return false;
	n -= n > 0 && buf[n - 1] == '\r';
	return n == 0 || buf[n - 1] == '\n';
}

/* Hashes a piece of a doomed message. PM_AGAIN: there is more of it; PM_GONE: it is another
 * message. */
static int32_t
prove_piece(struct mbox *m, const struct pm_call *call, const struct item *it, char *buf)
{
	struct proving *v = &m->proving;
	uint64_t left = it->next - v->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;
	int e = bytes_read(m->fd, buf, n, v->at);
	bool same;

	if (e != 0) {
		sdk_error(call, "reading '%s': %s; nothing was deleted", m->place.path,
			  strerrordesc_np(e));
		return PM_TEMP;
	}
	if (!proof_feed(&v->proof, buf, n))
		return PM_NOMEM;
	v->at += n;
	if (v->at < it->next)
		return PM_AGAIN;
	same = proof_is(&v->proof, it) && after_empty(m->fd, it->from) &&
	       proof_ends(m->fd, it, (uint64_t)m->snap.st.st_size);
	proof_free(&v->proof);
	v->begun = false;
	return same ? PM_OK : PM_GONE;
}

static int32_t
prove_some(struct mbox *m, const struct pm_call *call, char *buf)
{
	int64_t until = mbox_now(m->inst) + SLICE_MS;
	struct proving *v = &m->proving;

	while (v->k < m->snap.n) {
		const struct item *it = &m->snap.items[v->k];
		int32_t rc = PM_OK;

		if (it->doomed && !v->begun) {
			if (it->next <= it->from || !proof_begin(&v->proof, m->inst, it))
				return it->next <= it->from ? PM_GONE : PM_NOMEM;
			v->begun = true;
			v->at = it->from;
		}
		if (it->doomed)
			rc = prove_piece(m, call, it, buf);
		if (rc != PM_OK && rc != PM_AGAIN)
			return rc;
		v->k += rc == PM_OK;
		if (it->doomed && mbox_now(m->inst) >= until)
			return PM_AGAIN;
	}
	return PM_OK;
}

int32_t
doomed_prove(struct mbox *m, const struct pm_call *call)
{
	char *buf = malloc(PIECE);
	int32_t rc = buf ? PM_OK : PM_NOMEM;

	lock_keep(m->inst, &m->held);
	if (rc == PM_OK)
		rc = prove_some(m, call, buf);
	free(buf);
	if (rc == PM_OK && !view_unchanged(m)) {
		sdk_error(call,
			  "'%s' was changed by a program that does not heed our locks; nothing was "
			  "deleted",
			  m->place.path);
		index_drop(m->inst, &m->place);
		rc = PM_TEMP;
	} else if (rc == PM_GONE) {
		sdk_error(call,
			  "'%s': a message that is to be deleted is not where it was; nothing was "
			  "deleted, "
			  "and the mailbox is read anew",
			  m->place.path);
		view_distrust(m);
		rc = PM_TEMP;
	}
	if (rc != PM_OK && rc != PM_AGAIN)
		doomed_abandon(m);
	return rc;
}

void
doomed_abandon(struct mbox *m)
{
	if (m->proving.begun)
		proof_free(&m->proving.proof);
	m->proving = (struct proving){0};
}
