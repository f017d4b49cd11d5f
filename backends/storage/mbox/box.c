/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mailbox of one session. The MTA's locks are held while the file is scanned, and given back: mail is appended
 * beside the session. What is read later is read without them, so after each piece the file is looked at: if it is
 * not the one of the snapshot - other than by growing - the piece is thrown away, the file is scanned again and the
 * message looked for by what it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"

struct msg {
	struct mbox *mbox;
	struct item *item;
	uint64_t at;             /* of the file: next byte to read */
	struct mbox_quote quote;
	char *out;               /* unquoted, not handed over yet */
	size_t out_n, out_at;
	bool ended;
};

/* ---- open, close ----------------------------------------------------------------------------- */

static void
box_free(struct mbox *m)
{
	journal_free(m->journal);
	unlock_mta(&m->held, m->fd);
	scan_reset(m);
	if (m->fd != -1)
		(void)close(m->fd);
	if (m->session != -1)
		(void)close(m->session); /* releases the lock */
	free(m);
}

static int32_t
open_first(struct inst *i, const struct pm_call *call, const struct pm_user *user, uint32_t flags, struct mbox **ret)
{
	struct mbox *m = calloc(1, sizeof(*m));
	int32_t rc;

	if (!m)
		return PM_NOMEM;
	m->inst = i;
	m->flags = flags;
	m->fd = m->session = -1;
	rc = place_make(i, call, user, &m->place);
	if (rc == PM_OK && (flags & PM_OPEN_EXCLUSIVE))
		rc = lock_session(i, call, &m->place, &m->session);
	if (rc == PM_OK)
		rc = place_open(i, call, &m->place, false, &m->fd);
	if (rc != PM_OK) {
		box_free(m);
		return rc;
	}
	m->stage = m->fd == -1 ? STAGE_DONE : STAGE_LOCK;
	*ret = m;
	return PM_OK;
}

/* Locks, recovery, scan: in slices. */
static int32_t
go_on(struct mbox *m, const struct pm_call *call)
{
	int32_t rc = PM_OK;

	if (m->stage == STAGE_LOCK) {
		rc = lock_mta(m->inst, call, &m->place, m->fd, &m->held);
		if (rc == PM_OK && (m->flags & PM_OPEN_EXCLUSIVE))
			rc = journal_recover(m->inst, call, &m->place, m->fd);
		if (rc == PM_OK)
			m->stage = STAGE_SCAN;
	}
	if (rc == PM_OK && m->stage == STAGE_SCAN) {
		rc = scan_run(m, call);
		if (rc != PM_OK)
			return rc;
		unlock_mta(&m->held, m->fd);
		rc = snap_name(m, call);
		m->stage = STAGE_DONE;
	}
	return rc;
}

static int32_t
box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags, uint64_t *ret_count,
	 void **ret_mbox)
{
	struct mbox *m = *ret_mbox;
	int32_t rc = PM_OK;

	if (!m)
		rc = open_first(inst, call, user, flags, &m);
	if (rc != PM_OK)
		return rc;
	rc = go_on(m, call);
	if (rc == PM_AGAIN) {
		*ret_mbox = m;
		return rc;
	}
	if (rc != PM_OK) {
		box_free(m); /* a failure ends a handle in the making */
		return rc;
	}
	*ret_count = m->snap.n;
	*ret_mbox = m;
	return PM_OK;
}

static void
box_close(void *mbox, const struct pm_call *call)
{
	struct mbox *m = mbox;

	(void)call;
	if (m->stage == STAGE_DONE && (m->flags & PM_OPEN_EXCLUSIVE) && !m->committed)
		snap_learnt(m);
	box_free(m);
}

/* ---- info ------------------------------------------------------------------------------------ */

static int32_t
box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride, uint32_t want,
	 struct pm_msg *ret)
{
	struct mbox *m = mbox;

	(void)call;
	if (n > PM_SLICE_MAX || first > m->snap.n || n > m->snap.n - first)
		return PM_INVALID;
	for (size_t k = 0; k < n; k++) {
		const struct item *it = &m->snap.items[first + k];
		char *at = (char *)ret + k * stride;
		struct pm_msg r = {0};

		memcpy(&r.size, at, sizeof(r.size)); /* R1: the host's record may be larger than ours */
		if (want & PM_WANT_OCTETS) {
			r.octets = it->octets;
			r.stored_bytes = it->stored;
		}
		if (want & PM_WANT_UIDL) {
			r.uidl_len = it->uidl_n;
			memcpy(r.uidl, it->uidl, it->uidl_n);
		}
		if (want & PM_WANT_DATES) {
			r.first_retrieved_ms = it->first_ms;
			r.order = first + k;
		}
		memcpy(at, &r, r.size < sizeof(r) ? r.size : sizeof(r));
	}
	return PM_OK;
}

/* ---- the file changed ------------------------------------------------------------------------ */

/* Is the file still the one the snapshot was taken of? One that grew is looked at again: the index makes it cheap. */
static bool
unchanged(struct mbox *m)
{
	struct stat st;

	return fstat(m->fd, &st) == 0 && same_file(&st, &m->snap.st);
}

/* Old messages at their new places; those that are no more are gone. */
static void
adopt(struct mbox *m, struct snap *old)
{
	struct snap now = m->snap;
	size_t at = 0;

	for (size_t k = 0; k < old->n; k++) {
		struct item *it = &old->items[k];
		size_t j = at;

		while (j < now.n && !(memcmp(now.items[j].hash, it->hash, MBOX_HASH) == 0 && now.items[j].twin == it->twin))
			j++;
		it->gone = j == now.n;
		if (it->gone)
			continue;
		it->from = now.items[j].from;
		it->body = now.items[j].body;
		it->end = now.items[j].end;
		it->next = now.items[j].next;
		at = j + 1;
	}
	old->st = now.st;
	snap_free(&now);
	m->snap = *old;
}

/* Another program may have put a new file in its place: then that is the mailbox. */
static int32_t
follow(struct mbox *m, const struct pm_call *call, bool *ret_other)
{
	struct stat mine, now;
	int32_t rc;
	int fd;

	*ret_other = false;
	rc = place_open(m->inst, call, &m->place, false, &fd);
	if (rc != PM_OK)
		return rc;
	if (fd == -1 || fstat(fd, &now) != 0 || fstat(m->fd, &mine) != 0) {
		sdk_error(call, "'%s' was removed by another program", m->place.path);
		if (fd != -1)
			(void)close(fd);
		return PM_TEMP;
	}
	if (now.st_ino == mine.st_ino && now.st_dev == mine.st_dev) {
		(void)close(fd);
		return PM_OK;
	}
	unlock_mta(&m->held, m->fd);
	(void)close(m->fd);
	m->fd = fd;
	*ret_other = true;
	return PM_OK;
}

int32_t
box_lock(struct mbox *m, const struct pm_call *call)
{
	bool other = true;
	int32_t rc = PM_OK;

	while (rc == PM_OK && other) {
		rc = lock_mta(m->inst, call, &m->place, m->fd, &m->held);
		if (rc == PM_OK)
			rc = follow(m, call, &other);
	}
	if (rc != PM_OK && rc != PM_AGAIN)
		unlock_mta(&m->held, m->fd);
	return rc;
}

int32_t
box_refresh(struct mbox *m, const struct pm_call *call)
{
	struct snap old = m->snap;
	int32_t rc;

	if (unchanged(m))
		return PM_OK;
	m->snap = (struct snap){0};
	while ((rc = scan_run(m, call)) == PM_AGAIN)
		;
	if (rc == PM_OK)
		rc = snap_name(m, call);
	if (rc != PM_OK) {
		scan_reset(m);
		m->snap = old;
		return rc;
	}
	adopt(m, &old);
	return PM_OK;
}

/* The file anew, under the MTA's locks; the snapshot stays what it was, at other places. */
static int32_t
refresh(struct mbox *m, const struct pm_call *call)
{
	int32_t rc;

	while ((rc = box_lock(m, call)) == PM_AGAIN)
		;
	if (rc != PM_OK)
		return rc;
	rc = box_refresh(m, call);
	unlock_mta(&m->held, m->fd);
	return rc;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int32_t
msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *m = mbox;
	struct msg *g;
	int32_t rc = PM_OK;

	if (index >= m->snap.n)
		return PM_INVALID;
	if (!unchanged(m))
		rc = refresh(m, call);
	if (rc != PM_OK)
		return rc;
	if (m->snap.items[index].gone)
		return PM_GONE;
	g = calloc(1, sizeof(*g));
	if (g)
		g->out = malloc(PIECE + MBOX_QUOTE_MORE);
	if (!g || !g->out) {
		free(g);
		return PM_NOMEM;
	}
	g->mbox = m;
	g->item = &m->snap.items[index];
	g->at = g->item->body;
	g->quote = (struct mbox_quote){.how = m->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS};
	*ret_msg = g;
	return PM_OK;
}

/* The next piece of the file, looked at twice: it goes out only when the file is still the same after it. */
static int32_t
fill(struct msg *g, const struct pm_call *call)
{
	struct mbox *m = g->mbox;
	uint64_t left, done = g->at - g->item->body;
	char *raw = malloc(PIECE);
	ssize_t got = 0;
	int32_t rc = PM_OK;

	if (!raw)
		return PM_NOMEM;
	for (int tries = 0; tries < 3; tries++) {
		left = g->item->end - g->at;
		got = left == 0 ? 0 : pread(m->fd, raw, left < PIECE ? (size_t)left : PIECE, (off_t)g->at);
		if (got < 0 || unchanged(m))
			break;
		rc = refresh(m, call);
		if (rc == PM_OK && g->item->gone)
			rc = PM_TEMP;
		/* its headers may have been rewritten: then the part that went out is another one now */
		if (rc == PM_OK && done > 0 && g->item->end - g->item->body != left + done)
			rc = PM_TEMP;
		if (rc != PM_OK) {
			sdk_error(call, "another program changed '%s' while it was read", m->place.path);
			break;
		}
		g->at = g->item->body + done;
	}
	if (rc == PM_OK && (got < 0 || (got == 0 && left > 0))) {
		sdk_error(call, "reading '%s': %s", m->place.path, got < 0 ? strerrordesc_np(errno) : "it became shorter");
		rc = PM_TEMP;
	}
	if (rc == PM_OK) {
		g->at += (uint64_t)got;
		g->out_at = 0;
		g->out_n = mbox_quote(&g->quote, raw, (size_t)got, g->out);
		g->ended = g->at == g->item->end;
		if (g->ended)
			g->out_n += mbox_quote_end(&g->quote, g->out + g->out_n);
	}
	free(raw);
	return rc;
}

static int32_t
msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct msg *g = msg;
	size_t n;

	while (g->out_at == g->out_n) {
		int32_t rc;

		if (g->ended)
			return PM_END;
		rc = fill(g, call);
		if (rc != PM_OK)
			return rc;
	}
	n = g->out_n - g->out_at < cap ? g->out_n - g->out_at : cap;
	memcpy(buf, g->out + g->out_at, n);
	g->out_at += n;
	*ret_got = n;
	return PM_OK;
}

static void
msg_close(void *msg, const struct pm_call *call)
{
	struct msg *g = msg;

	(void)call;
	free(g->out);
	free(g);
}

/* ---- totals ---------------------------------------------------------------------------------- */

static int32_t
box_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret)
{
	struct pm_stat s = {.size = ret->size};
	struct mbox *m;
	void *handle = NULL;
	uint64_t count = 0;
	int32_t rc;

	while ((rc = box_open(inst, call, user, PM_OPEN_READONLY, &count, &handle)) == PM_AGAIN)
		;
	if (rc != PM_OK)
		return rc;
	m = handle;
	if (m->fd == -1)
		rc = PM_NOENT;
	s.count = count;
	for (size_t k = 0; k < m->snap.n; k++)
		s.octets += m->snap.items[k].octets;
	s.last_delivery_ms = m->fd == -1 ? 0 : (int64_t)m->snap.st.st_mtim.tv_sec * 1000;
	box_close(m, call);
	if (rc == PM_OK)
		memcpy(ret, &s, s.size < sizeof(s) ? s.size : sizeof(s));
	return rc;
}

const struct pm_storage mbox_storage = {
	.size = sizeof(mbox_storage),
	.mbox_open = box_open,
	.mbox_info = box_info,
	.msg_open = msg_open,
	.msg_read = msg_read,
	.msg_close = msg_close,
	.mbox_commit = mbox_commit,
	.mbox_close = box_close,
	.box_stat = box_stat,
};
