/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a message, without the MTA's locks. After each piece the file and the message's From_
 * line are looked at. When the file is not that of the snapshot any more, the piece is thrown away
 * and the message is looked for (view_refresh). The part that was sent before has to be a part of
 * the same text: a message whose size changed while it was read, because another program rewrote
 * its headers, is not the one that was announced, and waits for the next session. A message that
 * changed before is read as it is. A message that proves to be another one gets no end: its last
 * piece waits for a look at the bytes after it and, if the message is known by its print (proof.c),
 * for the hash of everything that was read.
 */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "lock.h"
#include "mbox.h"
#include "octets.h"
#include "parse.h"
#include "proof.h"
#include "say.h"
#include "snap.h"
#include "view.h"

struct msg {
	struct mbox *mbox;
	size_t index;
	uint64_t done, stored;   /* bytes of the file read; bytes there were when it was opened */
	struct sdk_octets count; /* of the bytes that were handed over */
	struct mbox_quote quote;
	char *out; /* unquoted, not handed over yet */
	size_t out_n, out_at;
	bool ended;
	bool proving;
	struct proof proof; /* of everything that was read, when proving */
};

/* Reads the file again; the snapshot stays as it was, at other places. */
static int32_t
message_refresh(struct mbox *m, const struct pm_call *call)
{
	const struct pm_host *h = m->inst->host;
	int32_t rc;

	do
		rc = view_refresh(m, call);
	while (rc == PM_AGAIN && h->now_ms(h->ctx) < call->deadline_ms && !call->cancelled(call));
	if (rc == PM_AGAIN) {
		sdk_error(call,
			  "'%s' was changed by another program, and reading it anew took too long",
			  m->place.path);
		view_abandon(m);
		rc = PM_TIMEOUT;
	}
	lock_release(&m->held, m->fd);
	return rc;
}

/* Checks that the message is the one that was opened. Called for each piece: a caller that was told
 * no may ask again. */
static int32_t
still_there(const struct msg *g, const struct pm_call *call)
{
	const struct mbox *m = g->mbox;
	const struct item *it = view_item(m, g->index);

	if (it->gone) {
		sdk_error(call, "another program removed the message from '%s' while it was read",
			  m->place.path);
		return PM_TEMP;
	}
	if (it->octets != m->views[g->index].octets || it->end - it->body != g->stored) {
		sdk_error(call,
			  "another program changed the message in '%s' while it was read; the next "
			  "session sees it as it is now",
			  m->place.path);
		return PM_TEMP;
	}
	return PM_OK;
}

/* Makes sure that the message is where the snapshot has it; otherwise the file is read again. */
static bool
in_place(struct mbox *m, size_t k)
{
	if (!view_unchanged(m))
		return false;
	if (view_item(m, k)->gone || proof_begins(m->fd, view_item(m, k)))
		return true;
	view_distrust(m);
	return false;
}

/* Begins a proof, from the From_ line to where reading goes on, which is in the middle of the
 * message if the file grew meanwhile. The bytes in `out` were handed over. */
static int32_t
begin_proof(struct msg *g, const struct pm_call *call)
{
	const struct item *it = view_item(g->mbox, g->index);
	uint64_t at = it->from, end = it->body + g->done;
	int e = 0;

	if (g->proving || !it->printed)
		return PM_OK;
	if (!proof_begin(&g->proof, g->mbox->inst, it))
		return PM_NOMEM;
	g->proving = true;
	while (e == 0 && at < end) {
		size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;

		e = bytes_read(g->mbox->fd, g->out, n, at);
		if (e == 0 && !proof_feed(&g->proof, g->out, n))
			return PM_NOMEM;
		at += n;
	}
	if (e == 0)
		return PM_OK;
	sdk_error(call, "reading '%s': %s", g->mbox->place.path, strerrordesc_np(e));
	return PM_TEMP;
}

/* Ends a proof after the last piece. The empty line belongs to the file; the message's own last
 * line may be another. */
static int32_t
end_proof(struct msg *g, const struct pm_call *call)
{
	struct mbox *m = g->mbox;
	const struct item *it = view_item(m, g->index);
	bool separated = it->next > it->end;

	if (proof_ends(m->fd, it, (uint64_t)m->snap.st.st_size) &&
	    (!g->proving || (proof_feed(&g->proof, "\n", separated) && proof_is(&g->proof, it))))
		return PM_OK;
	sdk_error(call,
		  "a message in '%s' is not what it was when the mailbox was read; it is read anew",
		  m->place.path);
	view_distrust(m);
	return PM_TEMP;
}

int32_t
message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *m = mbox;
	struct msg *g;
	int32_t rc;

	if (index >= m->n)
		return PM_INVALID;
	rc = in_place(m, index) ? PM_OK : message_refresh(m, call);
	if (rc != PM_OK)
		return rc;
	if (view_item(m, index)->gone) {
		sdk_error(call, "another program removed the message from '%s'", m->place.path);
		return PM_GONE;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return PM_NOMEM;
	g->mbox = m;
	g->index = index;
	g->out = malloc(PIECE + MBOX_QUOTE_MORE);
	if (!g->out) {
		free(g);
		return PM_NOMEM;
	}
	g->stored = view_item(m, g->index)->end - view_item(m, g->index)->body;
	m->views[index].octets =
		view_item(m, index)->octets; /* its present size, for which the host asks again */
	sdk_octets_init(&g->count);
	g->quote = (struct mbox_quote){.how = m->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS};
	*ret_msg = g;
	return PM_OK;
}

/* Reads a piece of the file. It counts only if the file is still the same afterwards. */
static int32_t
read_piece(struct msg *g, const struct pm_call *call, char *raw, size_t *ret_n)
{
	struct mbox *m = g->mbox;

	for (int tries = 0; tries < 3; tries++) {
		const struct item *it = view_item(m, g->index);
		uint64_t left = it->end - it->body - g->done;
		size_t n = left < PIECE ? (size_t)left : PIECE;
		int32_t rc = still_there(g, call);
		ssize_t got = rc == PM_OK && n > 0 && m->fd != -1
				      ? pread(m->fd, raw, n, (off_t)(it->body + g->done))
				      : 0;

		if (rc != PM_OK)
			return rc;
		if (got < 0) {
			sdk_error(call, "reading '%s': %s", m->place.path, strerrordesc_np(errno));
			return PM_TEMP;
		}
		if ((got > 0 || n == 0) && in_place(m, g->index)) {
			*ret_n = (size_t)got;
			return PM_OK;
		}
		rc = message_refresh(m, call);
		if (rc != PM_OK)
			return rc;
	}
	sdk_error(call, "'%s' does not stop changing", m->place.path);
	return PM_TEMP;
}

/* Compares the message, after all of it was read, with the snapshot. If they differ, the index is
 * wrong, and the next session reads the file. */
static int32_t
message_compare(struct msg *g, const struct pm_call *call)
{
	struct mbox *m = g->mbox;

	if (sdk_octets_total(&g->count) == m->views[g->index].octets)
		return PM_END;
	(void)unlinkat(m->inst->index_dir, m->place.key, 0); /* it may not be there */
	sdk_error(call,
		  "a message of '%s' is not what its index says; the next session reads the file "
		  "anew",
		  m->place.path);
	return PM_TEMP;
}

static int32_t
message_fill(struct msg *g, const struct pm_call *call)
{
	char *raw = malloc(PIECE);
	size_t n = 0;
	int32_t rc = raw ? read_piece(g, call, raw, &n) : PM_NOMEM;

	if (rc == PM_OK)
		rc = begin_proof(g, call);
	if (rc == PM_OK && g->proving && !proof_feed(&g->proof, raw, n))
		rc = PM_NOMEM;
	if (rc == PM_OK && g->done + n == g->stored)
		rc = end_proof(g, call);
	if (rc == PM_OK) {
		g->done += n;
		g->out_at = 0;
		g->out_n = parse_quote(&g->quote, raw, n, g->out);
		g->ended = g->done == g->stored;
		if (g->ended)
			g->out_n += parse_quote_end(&g->quote, g->out + g->out_n);
		sdk_octets_feed(&g->count, g->out, g->out_n);
	}
	free(raw);
	return rc;
}

int32_t
message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct msg *g = msg;
	size_t n;

	while (g->out_at == g->out_n) {
		int32_t rc;

		if (g->ended)
			return message_compare(g, call);
		rc = message_fill(g, call);
		if (rc != PM_OK)
			return rc;
	}
	n = g->out_n - g->out_at < cap ? g->out_n - g->out_at : cap;
	memcpy(buf, g->out + g->out_at, n);
	g->out_at += n;
	*ret_got = n;
	return PM_OK;
}

void
message_close(void *msg, const struct pm_call *call)
{
	struct msg *g = msg;

	(void)call;
	if (g->proving)
		proof_free(&g->proof);
	free(g->out);
	free(g);
}
