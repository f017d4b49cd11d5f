/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique-ids. The identity of a message is its hash, and a number among messages with an equal
 * hash. The ledger knows which numbers were given and which of their messages were deleted, and no
 * number is given twice. The unique-id is written by the first session that sees the message: it is
 * the hash, and the number from the second twin on.
 */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "index.h"
#include "ledger_file.h"
#include "location.h"
#include "mbox.h"
#include "parse.h"
#include "say.h"
#include "snap.h"

#define LEDGER_SLACK 4000

/* The numbers of one hash that this snapshot has used. */
struct twins {
	UT_hash_handle hh;
	unsigned char hash[MBOX_HASH];
	uint32_t last;
};

static void
hex_of(const unsigned char *hash, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (int k = 0; k < MBOX_HASH; k++) {
		buf[2 * k] = digits[hash[k] >> 4];
		buf[2 * k + 1] = digits[hash[k] & 15];
	}
}

size_t
names_identity(const unsigned char *hash, uint32_t twin, char buf[IDENTITY_CAP])
{
	hex_of(hash, buf);
	return (size_t)(2 * MBOX_HASH +
			snprintf(buf + 2 * MBOX_HASH, IDENTITY_CAP - 2 * MBOX_HASH, ".%u", twin));
}

/* The number for an import that is not here. A record that is left of an import that was taken
 * back, or of one that another program deleted, is used again for equal bytes; it must not be one
 * of two. */
uint32_t
names_for_import(struct ledger *l, const unsigned char *hash, const char *uidl)
{
	char id[IDENTITY_CAP];
	size_t n = strlen(uidl);

	for (uint32_t twin = 1;; twin++) {
		const struct ledger_message *m = ledger_find(l, id, names_identity(hash, twin, id));

		if (!m || (!m->deleted && m->hidden_until_ms == 0 && m->uidl_n == n &&
			   memcmp(m->uidl, uidl, n) == 0))
			return twin;
	}
}

/* Finds the next number of this hash that is alive or new. */
static const struct ledger_message *
next_twin(struct ledger *l, struct item *it, uint32_t last)
{
	char id[IDENTITY_CAP];

	for (it->twin = last + 1;; it->twin++) {
		size_t n = names_identity(it->hash, it->twin, id);
		const struct ledger_message *m = ledger_find(l, id, n);

		if (!m || !m->deleted)
			return m;
	}
}

static void
names_set_uidl(struct item *it, const struct ledger_message *known)
{
	char id[IDENTITY_CAP];

	if (known && known->uidl_n > 0 && known->uidl_n <= PM_UIDL_MAX) {
		memcpy(it->uidl, known->uidl, known->uidl_n);
		it->uidl_n = (uint8_t)known->uidl_n;
		it->first_ms = known->first_retrieved_ms;
		it->hidden_ms = known->hidden_until_ms;
		it->dirty = false;
		return;
	}
	(void)names_identity(it->hash, it->twin, id);
	if (it->twin == 1)
		id[2 * MBOX_HASH] = '\0';
	it->uidl_n = (uint8_t)strlen(id);
	memcpy(it->uidl, id, it->uidl_n + 1u);
	it->dirty = true;
}

/* Finds the entry of a hash, or adds one. NULL: no memory. */
static struct twins *
twins_of(struct twins **table, const unsigned char *hash)
{
	struct twins *t;

	HASH_FIND(hh, *table, hash, MBOX_HASH, t);
	if (t || (t = calloc(1, sizeof(*t))) == NULL)
		return t;
	memcpy(t->hash, hash, MBOX_HASH);
	HASH_ADD(hh, *table, hash, MBOX_HASH, t);
	return t;
}

static void
twins_free(struct twins *table)
{
	struct twins *t, *next;

	HASH_ITER (hh, table, t, next) {
		HASH_DEL(table, t);
		free(t);
	}
}

static bool
name_all(struct snap *s, struct ledger *l)
{
	struct twins *table = NULL, *t;
	bool ok = true;

	for (size_t k = 0; k < s->n && ok; k++) {
		struct item *it = &s->items[k];

		if (it->internal)
			continue; /* it has no unique-id, and no marks */
		t = twins_of(&table, it->hash);
		ok = t != NULL;
		if (ok) {
			names_set_uidl(it, next_twin(l, it, t->last));
			t->last = it->twin;
		}
	}
	twins_free(table);
	return ok;
}

/* ---- the ledger ------------------------------------------------------------------------------ */

struct ledger_is
names_ledger(const struct inst *i, const struct location *p)
{
	struct stat st;

	if (fstatat(i->ledger_dir, p->key, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return (struct ledger_is){0};
	return (struct ledger_is){st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
				  (uint64_t)st.st_mtim.tv_nsec};
}

static uint64_t
names_nanoseconds(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct sdk_look
names_look(const struct inst *i, const struct location *p)
{
	struct ledger_is l = names_ledger(i, p);
	struct stat st;

	if (lstat(p->path, &st) != 0)
		return (struct sdk_look){0};
	return (struct sdk_look){
		.word = {st.st_dev, st.st_ino, (uint64_t)st.st_size, names_nanoseconds(st.st_mtim),
			 names_nanoseconds(st.st_ctim), l.ino, l.size, l.mtime_s, l.mtime_ns},
		.at_rest = sdk_at_rest(i->host, st.st_ctim)};
}

static bool
same_ledger(struct ledger_is a, struct ledger_is b)
{
	return a.ino == b.ino && a.size == b.size && a.mtime_s == b.mtime_s &&
	       a.mtime_ns == b.mtime_ns;
}

/* Keeps the numbers that were given to twins of this one, and deleted: those that are here must not
 * get them. The numbers of a hash rise through the file, so `seen` are done. */
static void
keep_deleted(struct ledger *l, struct ledger_out *o, const struct item *it, uint32_t seen)
{
	char id[IDENTITY_CAP];

	for (uint32_t twin = seen + 1; twin < it->twin; twin++) {
		size_t n = names_identity(it->hash, twin, id);
		const struct ledger_message *m = ledger_find(l, id, n);

		if (m && m->deleted) {
			ledger_put_message(o, id, n, m->uidl, m->uidl_n, m->octets, m->stored, 0,
					   0);
			ledger_put_delete(o, LEDGER_NO_OP, id, n);
		}
	}
}

/* True if it was deleted and must not be imported again. */
static bool
names_remembered(const struct ledger_message *m, int64_t now)
{
	bool own = m->uidl_n <= m->identity_n && memcmp(m->uidl, m->identity, m->uidl_n) == 0 &&
		   (m->uidl_n == m->identity_n || m->uidl_n == 2 * MBOX_HASH);

	return !own && ledger_remembers(m, now);
}

struct memory {
	int64_t now;
	size_t n;
	struct ledger_out *o; /* NULL: counted only */
};

static void
names_remember(struct ledger_message *m, void *ctx)
{
	struct memory *x = ctx;

	if (!names_remembered(m, x->now))
		return;
	x->n++;
	if (x->o)
		ledger_put_remembered(x->o, m);
}

/* Keeps the useful part of a ledger that is mostly about messages that are gone. */
static bool
names_keep_alive(struct ledger *l, struct ledger_out *o, void *ctx)
{
	const struct mbox *m = ctx;
	struct memory x = {.now = m->inst->host->wall_ms(m->inst->host->ctx), .o = o};
	struct twins *table = NULL, *t;
	bool ok = true;

	ledger_each(l, names_remember, &x);
	for (size_t k = 0; k < m->snap.n && ok; k++) {
		const struct item *it = &m->snap.items[k];
		char id[IDENTITY_CAP];

		if (it->internal)
			continue;
		t = twins_of(&table, it->hash);
		ok = t != NULL;
		if (!ok)
			break;
		keep_deleted(l, o, it, t->last);
		t->last = it->twin;
		ledger_put_message(o, id, names_identity(it->hash, it->twin, id), it->uidl,
				   it->uidl_n, it->octets, it->stored, it->first_ms, it->hidden_ms);
	}
	ledger_put_commit(o, LEDGER_NO_OP, 0, 0);
	ledger_put_done(o, LEDGER_NO_OP);
	twins_free(table);
	return ok;
}

/* Rewrites the ledger if most of it is of no use. Imports append to it under the MTA's locks, under
 * which the snapshot is taken, too: a message that is not in it is not there. */
static void
names_compact(struct mbox *m, size_t lines, size_t n_remembered)
{
	if (!(m->flags & PM_OPEN_EXCLUSIVE) ||
	    lines < LEDGER_SLACK + 4 * m->snap.n + 3 * n_remembered)
		return;
	ledger_rewrite(m->inst->ledger_dir, m->place.key, m->inst->fsync, names_keep_alive, m);
	m->snap.ledger = names_ledger(m->inst, &m->place);
}

int32_t
names_give(struct mbox *m, const struct pm_call *call)
{
	struct ledger_is now = names_ledger(m->inst, &m->place);
	struct memory x = {.now = m->inst->host->wall_ms(m->inst->host->ctx)};
	size_t good, bad, lines;
	struct ledger *l;
	bool ok;

	if (m->snap.named && same_ledger(now, m->snap.ledger))
		return PM_OK;
	l = ledger_load(m->inst->ledger_dir, m->place.key, &good, &bad);
	if (!l)
		return ledger_load_code(call, m->place.key, errno);
	sdk_count(m->inst->host, "ledger_damaged", bad);
	if (bad > 0)
		sdk_log(m->inst->host, PM_LOG_WARNING,
			"'%s': %zu damaged lines of ledger/%s were passed over; check the disk",
			m->place.path, bad, m->place.key);
	if (ledger_torn(l) > 0)
		sdk_log(m->inst->host, PM_LOG_WARNING,
			"'%s': commits in ledger/%s that are not whole, and count as never made: "
			"%zu; check the disk",
			m->place.path, m->place.key, ledger_torn(l));
	ok = name_all(&m->snap, l);
	lines = ledger_lines(l);
	ledger_each(l, names_remember, &x);
	ledger_free(l);
	if (!ok)
		return PM_NOMEM;
	m->snap.named = true;
	m->snap.ledger = now;
	names_compact(m, lines, x.n);
	index_save(m->inst, &m->place, m->fd, &m->snap);
	return PM_OK;
}

void
names_learnt(struct mbox *m)
{
	struct ledger_out o = {0};
	size_t n = 0;
	int e;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item *it = &m->snap.items[k];
		char id[IDENTITY_CAP];

		if (!it->dirty)
			continue;
		ledger_put_message(&o, id, names_identity(it->hash, it->twin, id), it->uidl,
				   it->uidl_n, it->octets, it->stored, it->first_ms, it->hidden_ms);
		it->dirty = false;
		n++;
	}
	e = n == 0     ? 0
	    : o.failed ? ENOMEM
		       : ledger_append(m->inst->ledger_dir, m->place.key, o.text, o.n, false);
	if (e != 0)
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': the ledger could not be written: %s",
			m->place.path, strerrordesc_np(e));
	ledger_out_free(&o);
}
