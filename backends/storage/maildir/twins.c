/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that share a base name. Each message should have a base name of its own, but maildirs are
 * merged, backups are copied in, converters count from 000000, and cloned machines have one host
 * name. Two such files are one message only if they are one inode or hold the same. Otherwise they
 * are two messages, and the second one has the identity NAME,2 in the ledger and as its unique-id.
 * The first one is the message that the ledger knew by this name before.
 *
 * Which file is which must not depend on places and flags, since other readers change those. So the
 * ledger keeps the content and the looks (T: inode, size, date) of each file of a shared name. A
 * file with the same looks is known; any other is read. Names that are not shared cost nothing:
 * none of their files is opened here.
 */
#include "twins.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <uthash.h>

#include "dir.h"
#include "expire.h"
#include "find.h"
#include "held.h"
#include "ledger_file.h"
#include "maildir.h"
#include "match.h"
#include "name.h"
#include "same.h"
#include "snap.h"

/* The looks or the content of a file, by which its message's number is known. */
struct clue {
	UT_hash_handle hh; /* by key */
	char key[80];
	uint32_t number;
};

/* A file of a run: one inode, whatever its names. */
struct file {
	UT_hash_handle hh; /* by device and inode */
	struct look look;
	struct item *item; /* the first item of this file */
	const struct held *held;
	uint32_t number;
	bool known; /* the ledger has its present looks */
};

/* The files of one base name. */
struct run {
	struct source src;
	struct ledger *l;
	struct item *items;
	size_t n;
	struct file **of; /* one for each item; NULL: the file is gone */
	struct file *files;
	struct clue *clues;
	/* the message with the base name itself; NULL: the ledger does not know it */
	const struct ledger_message *first;
	uint32_t last; /* the last number that was given */
	bool shared;   /* the name is shared, or was once */
};

/* ---- small things ---------------------------------------------------------------------------- */

static void
look_key(char key[80], uint64_t ino, uint64_t size, uint64_t mtime_ns)
{
	snprintf(key, 80, "%" PRIu64 " %" PRIu64 " %" PRIu64, ino, size, mtime_ns);
}

static uint32_t
clue_get(const struct run *r, const char *key)
{
	struct clue *c;

	HASH_FIND_STR(r->clues, key, c);
	return c ? c->number : 0;
}

/* The first one counts. False: no memory. */
static bool
clue_put(struct run *r, const char *key, uint32_t number)
{
	struct clue *c;

	if (strcmp(key, SAME_UNREAD) == 0 || clue_get(r, key) != 0)
		return true;
	c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	snprintf(c->key, sizeof(c->key), "%s", key);
	c->number = number;
	HASH_ADD_STR(r->clues, key, c);
	return true;
}

static void
run_free(struct run *r)
{
	struct clue *c, *next_clue;
	struct file *f, *next;

	HASH_ITER (hh, r->clues, c, next_clue) {
		HASH_DEL(r->clues, c);
		free(c);
	}
	HASH_ITER (hh, r->files, f, next) {
		HASH_DEL(r->files, f);
		free(f);
	}
	free(r->of);
}

/* The identity of a message of this run, and the ledger's record of it. */
static struct ledger_message *
twins_numbered(const struct run *r, uint32_t number, char buf[IDENTITY_CAP], size_t *ret_n)
{
	struct item it = *r->items;
	const char *identity;

	it.number = number;
	identity = name_identity(r->src.s, &it, buf, ret_n);
	return ledger_find(r->l, identity, *ret_n);
}

/* True if nobody may see this message again: then a file of this name that is not one of its files
 * is another message. */
static bool
is_over(const struct run *r, const struct ledger_message *m)
{
	return m->deleted ||
	       (m->hidden_until_ms != 0 && m->hidden_until_ms <= sdk_expire_ms(r->src.inst->host));
}

/* ---- the files of a run ---------------------------------------------------------------------- */

/* True if the directory alone shows that two items are one file: one name seen twice, or one inode.
 */
static bool
one_file(const struct snap *s, const struct item *a, const struct item *b)
{
	if (a->ino != 0 && b->ino != 0)
		return a->ino == b->ino;
	return a->in_new == b->in_new && strcmp(s->names + a->name, s->names + b->name) == 0;
}

/* 0 or an errno; ENOENT: the file is gone. */
static int
stat_item(struct run *r, struct item *it, struct stat *ret)
{
	char path[300];
	int e;

	for (int tries = 0; tries < RELOCATE_TRIES; tries++) {
		name_path(r->src.s, it, path, sizeof(path));
		if (fstatat(r->src.fd, path, ret, AT_SYMLINK_NOFOLLOW) == 0)
			return S_ISREG(ret->st_mode) ? 0 : ENOENT;
		if (errno != ENOENT)
			return errno;
		e = find_again(r->src.fd, r->src.s, it);
		if (e)
			return e;
	}
	return ENOENT;
}

/* The file of an item; made for the first item of it. NULL: no memory. */
static struct file *
twins_file_of(struct run *r, struct item *it, const struct stat *st)
{
	struct look look = held_look(st);
	struct file *f;

	HASH_FIND(hh, r->files, &look, 2 * sizeof(uint64_t), f);
	if (f || !(f = calloc(1, sizeof(*f))))
		return f;
	f->look = look;
	f->item = it;
	HASH_ADD(hh, r->files, look, 2 * sizeof(uint64_t), f);
	return f;
}

static int32_t
twins_gather(struct run *r)
{
	r->of = calloc(r->n, sizeof(struct file *));
	for (size_t k = 0; r->of && k < r->n; k++) {
		struct item *it = &r->items[k];
		struct stat st;
		int e = stat_item(r, it, &st);

		if (e == ENOENT)
			continue;
		if (e != 0)
			return held_failed(&r->src, e);
		it->ino = st.st_ino;
		r->of[k] = twins_file_of(r, it, &st);
		if (!r->of[k])
			return PM_NOMEM;
	}
	return r->of ? PM_OK : PM_NOMEM;
}

/* Collects what the ledger knows of this name. False: no memory. */
static bool
twins_ask_ledger(struct run *r)
{
	char buf[IDENTITY_CAP], key[80];
	struct ledger_message *m;
	size_t n;

	r->first = twins_numbered(r, 1, buf, &n);
	r->shared = HASH_COUNT(r->files) > 1 || (r->first && r->first->files);
	for (r->last = 0; (m = twins_numbered(r, r->last + 1, buf, &n)) != NULL || r->last == 0;
	     r->last++) {
		if (m)
			m->keep = true; /* deleted or not: its number must not be given again */
		for (const struct ledger_file *x = m ? m->files : NULL; x; x = x->next) {
			look_key(key, x->ino, x->size, x->mtime_ns);
			if (!clue_put(r, key, r->last + 1) || !clue_put(r, x->content, r->last + 1))
				return false;
		}
	}
	r->shared = r->shared || r->last > 1;
	return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* True if this file has the size that the ledger has of the first message. A size that comes from a
 * name fits the same name; of a size that nobody counted only the octets were written down. */
static bool
fits_first(const struct run *r, const struct file *f)
{
	const char *name = r->src.s->names + f->item->name;
	uint64_t said;

	if (!r->first || r->first->octets == LEDGER_UNKNOWN)
		return true;
	if (r->first->stored == LEDGER_UNKNOWN)
		return name_number(name, 'W', &said) && said == r->first->octets;
	return r->first->stored == f->look.size ||
	       (name_number(name, 'S', &said) && said == r->first->stored);
}

/* Chooses the file of the message that the ledger knows by the base name, when it has no more about
 * it. NULL: none of them. */
static struct file *
choose_first(const struct run *r)
{
	struct file *best = NULL;

	if (r->first && r->first->files)
		return NULL;
	for (struct file *f = r->files; f; f = f->hh.next) {
		if (f->number != 0)
			continue;
		if (fits_first(r, f))
			return f;
		best = best ? best : f;
	}
	return r->first && is_over(r, r->first) ? NULL : best;
}

static int32_t
number_files(struct run *r)
{
	struct file *first;

	for (struct file *f = r->files; f; f = f->hh.next) {
		char key[80];
		int32_t rc;

		look_key(key, f->look.ino, f->look.size, f->look.mtime_ns);
		f->number = clue_get(r, key);
		f->known = f->number != 0;
		if (f->known)
			continue;
		if (!r->shared && fits_first(r, f)) {
			f->number = 1; /* the ledger knows nothing else of this name */
			return PM_OK;
		}
		rc = held_get(&r->src, f->item, &f->look, &f->held);
		if (rc != PM_OK)
			return rc;
		f->number = clue_get(r, f->held->content);
	}
	first = choose_first(r);
	if (first)
		first->number = 1;
	if (first && !clue_put(r, first->held->content, 1))
		return PM_NOMEM;
	for (struct file *f = r->files; f; f = f->hh.next) {
		if (f->number == 0)
			f->number = clue_get(r, f->held->content);
		if (f->number == 0)
			f->number = ++r->last;
		if (f->held && !clue_put(r, f->held->content, f->number))
			return PM_NOMEM;
	}
	return PM_OK;
}

/* ---- learning -------------------------------------------------------------------------------- */

/* Puts a message that the ledger does not know. Its unique-id is its own, unless an import has the
 * same. */
static void
put_message(struct run *r, const struct file *f, const char *identity, size_t n,
	    struct ledger_out *o)
{
	char uidl[PM_UIDL_MAX + 1];
	char spare[IDENTITY_CAP + 2];
	size_t uidl_n = match_make_uidl(identity, n, uidl);

	if (f->number > 1 && uidl_n > 0 && ledger_has_uidl(r->l, uidl, uidl_n)) {
		snprintf(spare, sizeof(spare), "%.*s,", (int)n, identity);
		uidl_n = match_make_uidl(spare, n + 1, uidl);
	}
	if (uidl_n == 0)
		o->failed = true;
	else
		ledger_put_message(o, identity, n, uidl, uidl_n, f->held->octets, f->look.size, 0,
				   0);
}

/* Notes each file whose present looks the ledger does not have. */
static int32_t
twins_learn(struct run *r)
{
	struct ledger_out *o = &r->src.twins->learnt;

	for (struct file *f = r->files; f; f = f->hh.next) {
		char buf[IDENTITY_CAP];
		struct ledger_file is = {
			.ino = f->look.ino, .size = f->look.size, .mtime_ns = f->look.mtime_ns};
		size_t from = o->n, good, n;
		struct item it = *f->item;
		const char *identity;

		if (f->known || !f->held)
			continue;
		it.number = f->number;
		identity = name_identity(r->src.s, &it, buf, &n);
		memcpy(is.content, f->held->content, sizeof(is.content));
		if (!ledger_find(r->l, identity, n))
			put_message(r, f, identity, n, o);
		ledger_put_file(o, identity, n, &is);
		if (o->failed || !ledger_read(r->l, o->text + from, o->n - from, &good))
			return PM_NOMEM;
	}
	return PM_OK;
}

static int32_t
twins_resolve(struct run *r)
{
	int32_t rc = twins_gather(r);

	if (rc == PM_OK)
		rc = twins_ask_ledger(r) ? number_files(r) : PM_NOMEM;
	if (rc == PM_OK)
		rc = twins_learn(r);
	for (size_t k = 0; rc == PM_OK && k < r->n; k++)
		r->items[k].number = r->of[k] ? r->of[k]->number : 0;
	return rc;
}

/* ---- all names ------------------------------------------------------------------------------- */

static size_t
run_length(const struct snap *s, size_t at)
{
	const struct item *a = &s->items[at];
	size_t k = at + 1;

	while (k < s->n && s->items[k].base_n == a->base_n &&
	       memcmp(s->names + s->items[k].name, s->names + a->name, a->base_n) == 0)
		k++;
	return k - at;
}

/* True if the name alone does not show which message these files are. */
static bool
twins_doubtful(const struct run *r)
{
	char buf[IDENTITY_CAP];
	const struct ledger_message *m;
	size_t n;

	for (size_t k = 1; k < r->n; k++)
		if (!one_file(r->src.s, &r->items[0], &r->items[k]))
			return true;
	m = twins_numbered(r, 1, buf, &n);
	return (m && is_over(r, m)) || (ledger_files(r->l) > 0 && twins_numbered(r, 2, buf, &n));
}

int32_t
twins_run(const struct source *src, struct ledger *l, size_t *at)
{
	struct snap *s = src->s;

	src->twins->reads = 0;
	while (*at < s->n) {
		struct run r = {
			.src = *src, .l = l, .items = &s->items[*at], .n = run_length(s, *at)};
		bool look = twins_doubtful(&r);
		int32_t rc = look ? twins_resolve(&r) : PM_OK;

		for (size_t k = 0; !look && k < r.n; k++)
			r.items[k].number = 1;
		run_free(&r);
		if (rc != PM_OK)
			return rc;
		*at += r.n;
		if (look && *at < s->n && maildir_now(src->inst) >= src->until_ms)
			return PM_AGAIN;
	}
	return PM_OK;
}

void
twins_keep(const struct source *src)
{
	const struct ledger_out *o = &src->twins->learnt;
	struct snap *s = src->s, now;
	int e;

	if (o->n == 0)
		return;
	e = ledger_append(src->fd, LEDGER_FILE, o->text, o->n, src->inst->fsync);
	if (e != 0) {
		dir_log(src->inst, src->fd, PM_LOG_WARNING,
			"messages that share a name could not be written to the ledger: %s",
			strerrordesc_np(e));
		return;
	}
	s->ledger_lines += o->lines;
	snap_stat(src->fd, &now); /* our own append is not a change to the cache */
	s->ledger_ino = now.ledger_ino;
	s->ledger_size = now.ledger_size;
}
