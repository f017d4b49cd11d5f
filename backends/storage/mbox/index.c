/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a mailbox: offsets, sizes, hashes and unique-ids of its messages, and the state of
 * the file and the ledger that they are of. It is a cache: without it both are read again. */
#include "index.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "location.h"
#include "mbox.h"
#include "parse.h"
#include "snap.h"

#define MAGIC "rstmbox4" /* an index with another magic is ignored, and replaced */
#define TICKS 12         /* ms */

struct index_head {
	char magic[8];
	uint64_t rd, dev, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns, n, junk;
	struct ledger_is ledger;
};

struct index_item {
	uint64_t from, body, text, end, next, octets, stored;
	int64_t received_ms, first_ms, hidden_ms;
	unsigned char hash[MBOX_HASH], print[MBOX_PRINT];
	uint32_t twin;
	char uidl[PM_UIDL_MAX];
	uint8_t uidl_n, dirty, printed, internal;
};

/* FNV-1a: a guard against torn and half written files, not against people. */
static uint64_t
index_checksum(const void *p, size_t n, uint64_t h)
{
	for (const unsigned char *c = p; n > 0; c++, n--)
		h = (h ^ *c) * 0x100000001b3u;
	return h;
}

#define FNV_START 0xcbf29ce484222325u

static struct index_item
index_packed(const struct item *it)
{
	struct index_item x;

	memset(&x, 0, sizeof(x)); /* padding is summed, too */
	x.from = it->from;
	x.body = it->body;
	x.text = it->text;
	x.end = it->end;
	x.next = it->next;
	x.octets = it->octets;
	x.stored = it->stored;
	x.received_ms = it->received_ms;
	x.first_ms = it->first_ms;
	x.hidden_ms = it->hidden_ms;
	memcpy(x.hash, it->hash, MBOX_HASH);
	memcpy(x.print, it->print, MBOX_PRINT);
	x.twin = it->twin;
	memcpy(x.uidl, it->uidl, it->uidl_n);
	x.uidl_n = it->uidl_n;
	x.dirty = it->dirty;
	x.printed = it->printed;
	x.internal = it->internal;
	return x;
}

static struct item
index_unpacked(const struct index_item *x)
{
	struct item it = {.from = x->from,
			  .body = x->body,
			  .text = x->text,
			  .end = x->end,
			  .next = x->next,
			  .octets = x->octets,
			  .stored = x->stored,
			  .received_ms = x->received_ms,
			  .first_ms = x->first_ms,
			  .hidden_ms = x->hidden_ms,
			  .twin = x->twin,
			  .uidl_n = x->uidl_n <= PM_UIDL_MAX ? x->uidl_n : 0,
			  .dirty = x->dirty != 0,
			  .printed = x->printed != 0,
			  .internal = x->internal != 0};

	memcpy(it.hash, x->hash, MBOX_HASH);
	memcpy(it.print, x->print, MBOX_PRINT);
	memcpy(it.uidl, x->uidl, it.uidl_n);
	return it;
}

/* ---- times ----------------------------------------------------------------------------------- */

/* True if a change from now on gives the file another ctime, because the clock that the kernel
 * stamps files by has moved on. Some file systems have whole seconds or hundredths only. */
static bool
tick_over(const struct timespec *stamp, bool coarse)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0)
		return false;
	if (coarse)
		return now.tv_sec > stamp->tv_sec + 2;
	return now.tv_sec > stamp->tv_sec ||
	       (now.tv_sec == stamp->tv_sec && now.tv_nsec > stamp->tv_nsec);
}

/* True if the file is still that of `st` and every later change will show. Waits for a tick (4 ms,
 * 10 at most), which takes less time than reading the file again, but not for a clock that was set
 * back. */
static bool
index_settles(int fd, const struct stat *st)
{
	const struct timespec ms = {0, 1000000};
	bool coarse = st->st_ctim.tv_nsec % 1000000 == 0;
	struct stat now;

	for (int k = 0; !tick_over(&st->st_ctim, coarse); k++) {
		if (coarse || k == TICKS)
			return false;
		(void)nanosleep(&ms, NULL);
	}
	return fstat(fd, &now) == 0 && snap_same_file(&now, st);
}

/* ---- saving, loading ------------------------------------------------------------------------- */

void
index_drop(const struct inst *i, const struct location *p)
{
	(void)unlinkat(i->index_dir, p->key, 0); /* usually there is none */
}

void
index_save(struct inst *i, const struct location *p, int box, const struct snap *s)
{
	struct index_head h = {.magic = MAGIC,
			       .rd = i->rd,
			       .dev = s->st.st_dev,
			       .ino = s->st.st_ino,
			       .size = (uint64_t)s->st.st_size,
			       .mtime_s = (uint64_t)s->st.st_mtim.tv_sec,
			       .mtime_ns = (uint64_t)s->st.st_mtim.tv_nsec,
			       .ctime_s = (uint64_t)s->st.st_ctim.tv_sec,
			       .ctime_ns = (uint64_t)s->st.st_ctim.tv_nsec,
			       .n = s->n,
			       .junk = s->junk,
			       .ledger = s->ledger};
	char name[KEY_N + 8];
	uint64_t sum;
	bool ok;
	FILE *f;
	int fd;

	if (!index_settles(box, &s->st))
		return; /* the next session reads the file once more */
	snprintf(name, sizeof(name), "%s.new", p->key);
	fd = openat(i->index_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	f = fd != -1 ? fdopen(fd, "w") : NULL;
	if (!f) {
		if (fd != -1)
			(void)close(fd);
		return; /* it is only a cache */
	}
	sum = index_checksum(&h, sizeof(h), FNV_START);
	ok = fwrite(&h, sizeof(h), 1, f) == 1;
	for (size_t k = 0; k < s->n && ok; k++) {
		struct index_item x = index_packed(&s->items[k]);

		sum = index_checksum(&x, sizeof(x), sum);
		ok = fwrite(&x, sizeof(x), 1, f) == 1;
	}
	ok = fwrite(&sum, sizeof(sum), 1, f) == 1 && ok;
	ok = fclose(f) == 0 && ok;
	if (!ok || renameat(i->index_dir, name, i->index_dir, p->key) != 0)
		(void)unlinkat(i->index_dir, name, 0);
}

/* True if the items follow each other within the file. */
static bool
in_order(const struct snap *s, uint64_t size)
{
	uint64_t at = s->n > 0 ? s->items[0].from : 0;

	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];

		if (it->from != at || it->body <= it->from || it->text < it->body ||
		    it->end < it->text || it->next < it->end)
			return false;
		at = it->next;
	}
	return at <= size;
}

static bool
read_items(FILE *f, const struct index_head *h, struct snap *s)
{
	uint64_t sum = index_checksum(h, sizeof(*h), FNV_START), said;

	if (h->n > h->size || !snap_room(s, h->n))
		return false;
	for (s->n = 0; s->n < h->n; s->n++) {
		struct index_item x;

		if (fread(&x, sizeof(x), 1, f) != 1)
			return false;
		sum = index_checksum(&x, sizeof(x), sum);
		s->items[s->n] = index_unpacked(&x);
	}
	return fread(&said, sizeof(said), 1, f) == 1 && said == sum && in_order(s, h->size);
}

/* Bytes that are not a message have no print, so a mailbox with such bytes is read again when it
 * has changed; and one with nothing else is read each time, since it may be no mbox at all. */
static enum index_is
index_compare(const struct index_head *h, const struct stat *now)
{
	if (h->n == 0 && h->junk > 0)
		return INDEX_USELESS;
	if (h->size == (uint64_t)now->st_size)
		return h->mtime_s == (uint64_t)now->st_mtim.tv_sec &&
				       h->mtime_ns == (uint64_t)now->st_mtim.tv_nsec &&
				       h->ctime_s == (uint64_t)now->st_ctim.tv_sec &&
				       h->ctime_ns == (uint64_t)now->st_ctim.tv_nsec
			       ? INDEX_SAME
			       : INDEX_USELESS;
	return h->size < (uint64_t)now->st_size && h->n > 0 && h->junk == 0 ? INDEX_SHORTER
									    : INDEX_USELESS;
}

enum index_is
index_load(struct inst *i, const struct location *p, const struct stat *now, struct snap *s)
{
	int fd = openat(i->index_dir, p->key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum index_is how = INDEX_USELESS;
	FILE *f = fd != -1 ? fdopen(fd, "r") : NULL;
	struct index_head h;

	if (!f) {
		if (fd != -1)
			(void)close(fd);
		return INDEX_USELESS;
	}
	if (fread(&h, sizeof(h), 1, f) == 1 && memcmp(h.magic, MAGIC, sizeof(h.magic)) == 0 &&
	    h.rd == i->rd && h.dev == (uint64_t)now->st_dev && h.ino == (uint64_t)now->st_ino &&
	    index_compare(&h, now) != INDEX_USELESS && read_items(f, &h, s)) {
		how = index_compare(&h, now);
		s->junk = h.junk;
		s->ledger = h.ledger;
		s->named = how == INDEX_SAME;
	}
	(void)fclose(f);
	return how;
}
