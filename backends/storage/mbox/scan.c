/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a snapshot. When the index (index.c) is of this file, nothing is read; when the
 * file grew since, reading begins at the last message that was known, which has to be the same
 * message still.
 *
 * Who a message is, is its hash and, of equal ones, a number. The ledger gives numbers that were
 * never used to newcomers; which of several twins has which of the numbers that are alive does not
 * matter, they are equal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"

bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void
snap_free(struct snap *s)
{
	free(s->items);
	*s = (struct snap){0};
}

bool
snap_room(struct snap *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 64;
	struct item *more;

	while (cap < n)
		cap *= 2;
	if (cap == s->cap)
		return true;
	more = realloc(s->items, cap * sizeof(*more));
	if (!more)
		return false;
	s->items = more;
	s->cap = cap;
	return true;
}

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
			    .end = f->end,
			    .next = f->end,
			    .octets = f->octets,
			    .stored = f->stored,
			    .received_ms = f->received_ms};
	memcpy(it->hash, f->hash, MBOX_HASH);
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool
scan_found(void *ctx, const struct mbox_found *f)
{
	return scan_add(ctx, f);
}

void
scan_reset(struct mbox *m)
{
	if (m->parsing)
		mbox_parse_free(&m->parse);
	m->parsing = false;
	snap_free(&m->snap);
}

/* Where reading begins, and how. */
static int32_t
scan_begin(struct mbox *m, const struct pm_call *call, bool *ret_done)
{
	struct stat st;
	uint64_t from = 0;
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
	if (how == INDEX_SAME) {
		*ret_done = true;
		return PM_OK;
	}
	if (how == INDEX_SHORTER && m->snap.n > 0)
		from = m->snap.items[m->snap.n - 1]
			       .from; /* it is read again: it may have been half there */
	else
		m->snap.junk = 0;
	m->parse = (struct mbox_parse){.how = m->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS,
				       .message = scan_found,
				       .ctx = &m->snap};
	if (!mbox_parse_init(&m->parse, from))
		return PM_NOMEM;
	m->parsing = true;
	return PM_OK;
}

/* The file from where the index ended: is its last message still there? */
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
		} else if (!mbox_parse_feed(&m->parse, buf, (size_t)got)) {
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

/* An index that fits: its last message is taken off and read again. */
static bool
take_last(struct mbox *m, struct item *ret)
{
	if (m->snap.n == 0)
		return false;
	*ret = m->snap.items[--m->snap.n];
	return true;
}

/* A mailbox that is not as it should be is served as far as it is sound, and left as it is. */
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
	bool ok = mbox_parse_end(&m->parse);

	m->snap.junk += m->parse.junk;
	mbox_parse_free(&m->parse);
	m->parsing = false;
	if (!ok)
		return PM_NOMEM;
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

	if (!m->parsing) {
		rc = scan_begin(m, call, &done);
		if (rc != PM_OK || done)
			return rc;
		m->last_known = take_last(m, &m->last);
		m->n_known = m->snap.n + m->last_known;
	}
	rc = read_on(m, call);
	if (rc == PM_OK)
		rc = scan_end(m);
	if (rc == PM_OK && m->last_known && !scan_joins(&m->snap, m->n_known, &m->last)) {
		/* not what the index says: everything anew, without it */
		(void)unlinkat(m->inst->index_dir, m->place.key, 0);
		return PM_AGAIN;
	}
	return rc;
}
