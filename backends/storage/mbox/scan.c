/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a snapshot. When the index (index.c) is of this file, nothing is read. When the
 * file has grown since, each known message is compared to its print (proof.c), and reading begins
 * at the last one, which must still be the same message. When the file changed in any other way,
 * nothing is known.
 *
 * The identity of a message is its hash and, among equal ones, a number. The ledger gives unused
 * numbers to new messages. It does not matter which of several twins has which of the numbers that
 * are alive, since they are equal.
 */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index.h"
#include "lock.h"
#include "mbox.h"
#include "parse.h"
#include "proof.h"
#include "say.h"
#include "snap.h"

static bool
scan_add(struct snap *s, const struct mbox_found *f)
{
	struct item *it;

	if (!snap_room(s, s->n + 1))
		return false;
	if (s->n > 0)
		s->items[s->n - 1].next = f->from;
	it = &s->items[s->n++];
	*it = (struct item){.from = f->from,
			    .body = f->body,
			    .text = f->text,
			    .end = f->end,
			    .next = f->end,
			    .octets = f->octets,
			    .stored = f->stored,
			    .received_ms = f->received_ms,
			    .internal = f->internal && s->n == 1};
	memcpy(it->hash, f->hash, MBOX_HASH);
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The print costs no disk access: its bytes were read a moment ago. */
static bool
scan_found(void *ctx, const struct mbox_found *f)
{
	struct mbox *m = ctx;
	struct item *it;

	if (!scan_add(&m->snap, f))
		return false;
	it = &m->snap.items[m->snap.n - 1];
	if (!proof_print(m->fd, it, it->print))
		memset(it->print, 0, sizeof(it->print)); /* it belongs to no message */
	return true;
}

void
scan_reset(struct mbox *m)
{
	if (m->parsing)
		parse_free(&m->parse);
	m->parsing = m->checking = false;
	snap_free(&m->snap);
}

/* Reads from the last known message, or from the beginning. */
static int32_t
read_from(struct mbox *m)
{
	uint64_t from = 0;

	m->last_known = m->snap.n > 0;
	m->n_known = m->snap.n;
	if (m->last_known) {
		m->last = m->snap.items[--m->snap.n]; /* it may have been incomplete */
		from = m->last.from;
	}
	m->parse = (struct mbox_parse){
		.how = m->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS, .message = scan_found, .ctx = m};
	if (!parse_init(&m->parse, from))
		return PM_NOMEM;
	m->parsing = true;
	return PM_OK;
}

/* Starts from the beginning: nothing is known, after all. */
static int32_t
read_anew(struct mbox *m)
{
	struct stat st = m->snap.st;

	index_drop(m->inst, &m->place);
	snap_free(&m->snap);
	m->snap.st = st;
	return read_from(m);
}

/* Loads the index, if there is one. */
static int32_t
scan_begin(struct mbox *m, const struct pm_call *call, bool *ret_done)
{
	struct stat st;
	enum index_is how;

	*ret_done = false;
	snap_free(&m->snap);
	if (fstat(m->fd, &st) != 0) {
		sdk_error(call, "'%s': %s", m->place.path, strerrordesc_np(errno));
		return PM_TEMP;
	}
	how = index_load(m->inst, &m->place, &st, &m->snap);
	if (how == INDEX_USELESS)
		snap_free(&m->snap);
	m->snap.st = st;
	*ret_done = how == INDEX_SAME;
	m->checking = how == INDEX_SHORTER;
	m->checked = 0;
	return how == INDEX_USELESS ? read_from(m) : PM_OK;
}

/* Checks that the messages of the index are there. The last one is read again anyway. */
static int32_t
check_known(struct mbox *m)
{
	int64_t until = mbox_now(m->inst) + SLICE_MS;

	for (; m->checked + 1 < m->snap.n; m->checked++) {
		if (!proof_stands(m->fd, &m->snap.items[m->checked])) {
			m->checking = false;
			return read_anew(m);
		}
		m->snap.items[m->checked].printed = true;
		if (m->checked % 64 == 63 && mbox_now(m->inst) >= until) {
			m->checked++;
			lock_keep(m->inst, &m->held);
			return PM_AGAIN;
		}
	}
	m->checking = false;
	return read_from(m);
}

/* Reads the file from where the index ended, and checks that its last message is still there. */
static bool
scan_joins(const struct snap *s, size_t known, const struct item *last)
{
	return s->n > known - 1 && s->items[known - 1].from == last->from &&
	       memcmp(s->items[known - 1].hash, last->hash, MBOX_HASH) == 0 &&
	       s->items[known - 1].end == last->end;
}

static int32_t
read_on(struct mbox *m, const struct pm_call *call)
{
	int64_t until = mbox_now(m->inst) + SLICE_MS;
	char *buf = malloc(PIECE);
	int32_t rc = buf ? PM_OK : PM_NOMEM;

	while (rc == PM_OK && m->parse.at < (uint64_t)m->snap.st.st_size) {
		uint64_t left = (uint64_t)m->snap.st.st_size - m->parse.at;
		ssize_t got =
			pread(m->fd, buf, left < PIECE ? (size_t)left : PIECE, (off_t)m->parse.at);

		if (got <= 0) {
			sdk_error(call, "reading '%s': %s", m->place.path,
				  got < 0 ? strerrordesc_np(errno) : "it became shorter");
			rc = PM_TEMP;
		} else if (!parse_feed(&m->parse, buf, (size_t)got)) {
			rc = PM_NOMEM;
		} else if (m->parse.at < (uint64_t)m->snap.st.st_size &&
			   mbox_now(m->inst) >= until) {
			lock_keep(m->inst, &m->held);
			rc = PM_AGAIN;
		}
	}
	free(buf);
	return rc;
}

/* Logs oddities. A mailbox that is not as it should be is served as far as it is sound, and left as
 * it is. */
static void
name_oddities(const struct mbox *m)
{
	const struct mbox_parse *p = &m->parse;
	char text[300];
	size_t n = 0;

#define ODD(cond, ...) \
	if (cond) \
	n += (size_t)snprintf(text + n, sizeof(text) - n, __VA_ARGS__)
	ODD(p->junk > 0, "; %llu bytes before the first From_ line are no message",
	    (unsigned long long)p->junk);
	ODD(p->nuls > 0, "; %llu NUL bytes", (unsigned long long)p->nuls);
	ODD(p->lies > 0, "; %llu messages with a Content-Length that is not theirs",
	    (unsigned long long)p->lies);
	ODD(p->unseparated > 0,
	    "; %llu From_ lines with no empty line before them begin no message",
	    (unsigned long long)p->unseparated);
	ODD(p->crlf, "; From_ lines end in CRLF");
	ODD(p->cut, "; the last line has no end, its message may be cut off");
#undef ODD
	if (n > 0)
		sdk_log(m->inst->host, PM_LOG_WARNING,
			"'%s' is odd and served as far as it is sound: %s", m->place.path,
			text + 2);
}

static int32_t
scan_end(struct mbox *m)
{
	bool ok = parse_end(&m->parse);

	parse_free(&m->parse);
	m->parsing = false;
	if (!ok)
		return PM_NOMEM;
	if (m->last_known && !scan_joins(&m->snap, m->n_known, &m->last)) {
		/* the reading began inside a message, so the oddities found are not the mailbox' */
		int32_t rc = read_anew(m);

		return rc == PM_OK ? PM_AGAIN : rc;
	}
	m->snap.junk = m->parse.junk;
	m->snap.text = m->parse.text;
	if (m->snap.n > 0)
		m->snap.items[m->snap.n - 1].next = (uint64_t)m->snap.st.st_size;
	name_oddities(m);
	return PM_OK;
}

int32_t
scan_run(struct mbox *m, const struct pm_call *call)
{
	int32_t rc = PM_OK;
	bool done = false;

	if (!m->parsing && !m->checking) {
		rc = scan_begin(m, call, &done);
		if (rc != PM_OK || done)
			return rc;
	}
	if (m->checking)
		rc = check_known(m);
	if (rc == PM_OK)
		rc = read_on(m, call);
	if (rc == PM_OK)
		rc = scan_end(m);
	return rc;
}
