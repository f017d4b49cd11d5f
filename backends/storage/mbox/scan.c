/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a file to a snapshot, and back to a short one: the index.
 *
 * The index of a mailbox holds the offsets, sizes and hashes of its messages, and what file it was made of. It is a
 * cache: without it the file is read again. When the file is the same, nothing is read; when it grew, reading begins
 * at the last message that was known, which has to be the same message still.
 *
 * Who a message is, is its hash and, of equal ones, a number. The ledger gives numbers that were never used to
 * newcomers; which of several twins has which of the numbers that are alive does not matter, they are equal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"

#define MAGIC "rstmbox1"

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

static bool
room(struct snap *s, size_t n)
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
add(struct snap *s, const struct mbox_found *f)
{
	struct item *it;

	if (!room(s, s->n + 1))
		return false;
	if (s->n > 0)
		s->items[s->n - 1].next = f->from;
	it = &s->items[s->n++];
	*it = (struct item){.from = f->from, .body = f->body, .end = f->end, .next = f->end, .octets = f->octets,
			    .stored = f->stored};
	memcpy(it->hash, f->hash, MBOX_HASH);
	return true;
}

/* ---- the index ------------------------------------------------------------------------------- */

struct index_head {
	char magic[8];
	uint64_t dev, ino, size, mtime_s, mtime_ns, n, junk;
};

struct index_item {
	uint64_t from, body, end, next, octets, stored;
	unsigned char hash[MBOX_HASH];
	uint32_t pad;
};

/* FNV-1a: against torn and half written files, not against people. */
static uint64_t
checksum(const void *p, size_t n, uint64_t h)
{
	for (const unsigned char *c = p; n > 0; c++, n--)
		h = (h ^ *c) * 0x100000001b3u;
	return h;
}

#define FNV_START 0xcbf29ce484222325u

void
index_save(struct inst *i, const struct place *p, const struct snap *s)
{
	struct index_head h = {.magic = MAGIC, .dev = s->st.st_dev, .ino = s->st.st_ino, .size = (uint64_t)s->st.st_size,
			       .mtime_s = (uint64_t)s->st.st_mtim.tv_sec, .mtime_ns = (uint64_t)s->st.st_mtim.tv_nsec,
			       .n = s->n, .junk = s->junk};
	char name[KEY_N + 8];
	uint64_t sum;
	bool ok;
	FILE *f;
	int fd;

	snprintf(name, sizeof(name), "%s.new", p->key);
	fd = openat(i->index_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd != -1 ? fdopen(fd, "w") : NULL;
	if (!f) {
		if (fd != -1)
			(void)close(fd);
		return; /* a cache */
	}
	sum = checksum(&h, sizeof(h), FNV_START);
	ok = fwrite(&h, sizeof(h), 1, f) == 1;
	for (size_t k = 0; k < s->n && ok; k++) {
		const struct item *it = &s->items[k];
		struct index_item x = {.from = it->from, .body = it->body, .end = it->end, .next = it->next,
				       .octets = it->octets, .stored = it->stored};

		memcpy(x.hash, it->hash, MBOX_HASH);
		sum = checksum(&x, sizeof(x), sum);
		ok = fwrite(&x, sizeof(x), 1, f) == 1;
	}
	ok = fwrite(&sum, sizeof(sum), 1, f) == 1 && ok;
	ok = fclose(f) == 0 && ok;
	if (!ok || renameat(i->index_dir, name, i->index_dir, p->key) != 0)
		(void)unlinkat(i->index_dir, name, 0);
}

static bool
read_items(FILE *f, const struct index_head *h, struct snap *s)
{
	uint64_t sum = checksum(h, sizeof(*h), FNV_START), said;

	if (h->n > h->size || !room(s, h->n))
		return false;
	for (s->n = 0; s->n < h->n; s->n++) {
		struct index_item x;
		struct item *it = &s->items[s->n];

		if (fread(&x, sizeof(x), 1, f) != 1)
			return false;
		sum = checksum(&x, sizeof(x), sum);
		*it = (struct item){.from = x.from, .body = x.body, .end = x.end, .next = x.next, .octets = x.octets,
				    .stored = x.stored};
		memcpy(it->hash, x.hash, MBOX_HASH);
	}
	return fread(&said, sizeof(said), 1, f) == 1 && said == sum;
}

/* 0: useless; 1: the file grew since; 2: it is the same. */
static int
index_load(struct inst *i, const struct place *p, const struct stat *now, struct snap *s)
{
	int fd = openat(i->index_dir, p->key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), how = 0;
	FILE *f = fd != -1 ? fdopen(fd, "r") : NULL;
	struct index_head h;

	if (!f) {
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	if (fread(&h, sizeof(h), 1, f) == 1 && memcmp(h.magic, MAGIC, sizeof(h.magic)) == 0 &&
	    h.dev == (uint64_t)now->st_dev && h.ino == (uint64_t)now->st_ino && h.size <= (uint64_t)now->st_size &&
	    read_items(f, &h, s)) {
		how = h.size == (uint64_t)now->st_size && h.mtime_s == (uint64_t)now->st_mtim.tv_sec &&
				      h.mtime_ns == (uint64_t)now->st_mtim.tv_nsec
			      ? 2
			      : 1;
		s->junk = h.junk;
	}
	(void)fclose(f);
	return how;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool
found(void *ctx, const struct mbox_found *f)
{
	return add(ctx, f);
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
	int how;

	*ret_done = false;
	snap_free(&m->snap);
	if (fstat(m->fd, &st) != 0) {
		sdk_error(call, "'%s': %s", m->place.path, strerrordesc_np(errno));
		return PM_TEMP;
	}
	how = index_load(m->inst, &m->place, &st, &m->snap);
	if (how == 0)
		snap_free(&m->snap);
	m->snap.st = st;
	if (how == 2) {
		*ret_done = true;
		return PM_OK;
	}
	if (how == 1 && m->snap.n > 0)
		from = m->snap.items[m->snap.n - 1].from; /* it is read again: it may have been half there */
	m->parse = (struct mbox_parse){.how = m->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS, .message = found, .ctx = &m->snap};
	if (!mbox_parse_init(&m->parse, from))
		return PM_NOMEM;
	m->parsing = true;
	return PM_OK;
}

/* The file from where the index ended: is its last message still there? */
static bool
joins(const struct snap *s, size_t known, const struct item *last)
{
	return s->n > known - 1 && s->items[known - 1].from == last->from &&
	       memcmp(s->items[known - 1].hash, last->hash, MBOX_HASH) == 0 && s->items[known - 1].end == last->end;
}

static int32_t
read_on(struct mbox *m, const struct pm_call *call)
{
	int64_t until = mbox_now(m->inst) + SLICE_MS;
	char *buf = malloc(PIECE);
	int32_t rc = buf ? PM_OK : PM_NOMEM;

	while (rc == PM_OK && m->parse.at < (uint64_t)m->snap.st.st_size) {
		uint64_t left = (uint64_t)m->snap.st.st_size - m->parse.at;
		ssize_t got = pread(m->fd, buf, left < PIECE ? (size_t)left : PIECE, (off_t)m->parse.at);

		if (got <= 0) {
			sdk_error(call, "reading '%s': %s", m->place.path, got < 0 ? strerrordesc_np(errno) : "it became shorter");
			rc = PM_TEMP;
		} else if (!mbox_parse_feed(&m->parse, buf, (size_t)got)) {
			rc = PM_NOMEM;
		} else if (m->parse.at < (uint64_t)m->snap.st.st_size && mbox_now(m->inst) >= until) {
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
	if (m->snap.junk > 0)
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': %llu bytes before the first From_ line are no message; they are left alone",
			m->place.path, (unsigned long long)m->snap.junk);
	index_save(m->inst, &m->place, &m->snap);
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
	if (rc == PM_OK && m->last_known && !joins(&m->snap, m->n_known, &m->last)) {
		/* not what the index says: everything anew, without it */
		(void)unlinkat(m->inst->index_dir, m->place.key, 0);
		return PM_AGAIN;
	}
	return rc;
}
