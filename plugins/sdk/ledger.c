/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_line.h"

#define OP_ID_N 32 /* hex digits */
#define HASH_INITIAL_NUM_BUCKETS 64U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 6U
#include <uthash.h>

#define FIELDS_MAX 8

struct message {
	UT_hash_handle hh; /* by identity */
	struct ledger_message m;
	char text[]; /* identity, NUL, uidl, NUL */
};

/* A group: its D and G lines wait here for their C. Its outcome stays known by its op-id. */
struct group {
	UT_hash_handle hh;         /* by op */
	struct group *prev, *next; /* list of the groups that are committed and not finished */
	char op[OP_ID_N + 1];
	uint64_t n, applied; /* members, and those of them whose C was read */
	bool committed, unfinished;
	size_t cap;
	struct member {
		struct message *m; /* NULL: it belongs to an append that was taken back */
		int64_t hide_ms;   /* -1: to be deleted */
	} * members;
};

struct ledger {
	struct message *messages;
	struct group *groups, *unfinished;
	size_t lines, files;
	size_t torn; /* groups with fewer lines than their C counts */
	size_t bad;  /* unsound lines that are followed by a sound one */
};

/* ---- memory ---------------------------------------------------------------------------------- */

struct ledger *
ledger_new(void)
{
	return calloc(1, sizeof(struct ledger));
}

static void
free_files(struct ledger_file *f)
{
	while (f) {
		struct ledger_file *next = f->next;

		free(f);
		f = next;
	}
}

void
ledger_free(struct ledger *l)
{
	struct message *m, *next;
	struct group *g, *next_g;

	if (!l)
		return;
	HASH_ITER (hh, l->messages, m, next) {
		HASH_DEL(l->messages, m);
		free_files(m->m.files);
		free(m);
	}
	HASH_ITER (hh, l->groups, g, next_g) {
		HASH_DEL(l->groups, g);
		free(g->members);
		free(g);
	}
	free(l);
}

static struct message *
message_find(struct ledger *l, const char *identity, size_t n)
{
	struct message *m;

	HASH_FIND(hh, l->messages, identity, n, m);
	return m;
}

struct ledger_message *
ledger_find(struct ledger *l, const char *identity, size_t n)
{
	struct message *m = message_find(l, identity, n);

	return m ? &m->m : NULL;
}

size_t
ledger_count(const struct ledger *l)
{
	return HASH_COUNT(l->messages);
}

size_t
ledger_lines(const struct ledger *l)
{
	return l->lines;
}

size_t
ledger_files(const struct ledger *l)
{
	return l->files;
}

bool
ledger_has_uidl(struct ledger *l, const char *uidl, size_t n)
{
	struct message *m, *next;

	HASH_ITER (hh, l->messages, m, next)
		if (m->m.uidl_n == n && memcmp(m->m.uidl, uidl, n) == 0)
			return true;
	return false;
}

void
ledger_each(struct ledger *l, void (*fn)(struct ledger_message *m, void *ctx), void *ctx)
{
	struct message *m, *next;

	HASH_ITER (hh, l->messages, m, next)
		fn(&m->m, ctx);
}

static struct group *
group_find(const struct ledger *l, const char *op, size_t n)
{
	struct group *g;

	HASH_FIND(hh, l->groups, op, n, g);
	return g;
}

const char *
ledger_unfinished(const struct ledger *l, const char *after)
{
	const struct group *g = after ? group_find(l, after, strlen(after)) : NULL;

	g = g ? g->next : after ? NULL : l->unfinished;
	return g ? g->op : NULL;
}

bool
ledger_has_group(const struct ledger *l, const char *op_hex)
{
	const struct group *g = group_find(l, op_hex, strlen(op_hex));

	return g && g->committed;
}

size_t
ledger_torn(const struct ledger *l)
{
	return l->torn;
}

bool
ledger_remembers(const struct ledger_message *m, int64_t now_ms)
{
	int64_t gone = m->deleted ? m->deleted_ms : m->hidden_until_ms;

	return gone != 0 && gone <= now_ms && now_ms - gone < LEDGER_REMEMBER_MS;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct fields {
	const char *p[FIELDS_MAX];
	size_t n[FIELDS_MAX];
	size_t count;
};

static void
ledger_split(const char *p, const char *end, struct fields *f)
{
	f->count = 0;
	while (p < end && f->count < FIELDS_MAX) {
		const char *space = memchr(p, ' ', (size_t)(end - p));

		f->p[f->count] = p;
		f->n[f->count++] = (size_t)((space ? space : end) - p);
		p = space ? space + 1 : end;
	}
}

static uint64_t
ledger_number(const struct fields *f, size_t i)
{
	uint64_t v = 0;

	if (f->n[i] == 1 && f->p[i][0] == '-')
		return LEDGER_UNKNOWN;
	for (size_t k = 0; k < f->n[i]; k++)
		v = v * 10 + (uint64_t)(f->p[i][k] - '0'); /* written by us, guarded by the crc */
	return v;
}

/* Adds a message that is not known yet. NULL: no memory. */
static struct message *
message_new(struct ledger *l, const char *identity, size_t n, const char *uidl, size_t uidl_n)
{
	struct message *m = malloc(sizeof(*m) + n + uidl_n + 2);

	if (!m)
		return NULL;
	memset(&m->m, 0, sizeof(m->m));
	memcpy(m->text, identity, n);
	m->text[n] = '\0';
	memcpy(m->text + n + 1, uidl, uidl_n);
	m->text[n + 1 + uidl_n] = '\0';
	m->m.identity = m->text;
	m->m.identity_n = (uint32_t)n;
	m->m.uidl = m->text + n + 1;
	m->m.uidl_n = (uint32_t)uidl_n;
	m->m.octets = LEDGER_UNKNOWN;
	HASH_ADD_KEYPTR(hh, l->messages, m->m.identity, m->m.identity_n, m);
	return m;
}

static bool
take_message(struct ledger *l, const struct fields *f)
{
	struct message *m = message_find(l, f->p[1], f->n[1]);

	/* a known one keeps its address, since groups point to it, and its unique-id */
	if (!m)
		m = message_new(l, f->p[1], f->n[1], f->p[2], f->n[2]);
	if (!m)
		return false;
	m->m.octets = ledger_number(f, 3);
	m->m.stored = ledger_number(f, 4);
	m->m.first_retrieved_ms = (int64_t)ledger_number(f, 5);
	m->m.hidden_until_ms = (int64_t)ledger_number(f, 6);
	return true;
}

static bool
ledger_take_file(struct ledger *l, const struct fields *f)
{
	struct message *m = message_find(l, f->p[1], f->n[1]);
	struct ledger_file is = {.ino = ledger_number(f, 3),
				 .size = ledger_number(f, 4),
				 .mtime_ns = ledger_number(f, 5)},
			   *made;

	if (!m || f->n[2] == 0 || f->n[2] > LEDGER_CONTENT)
		return true;
	memcpy(is.content, f->p[2], f->n[2]);
	made = malloc(sizeof(*made));
	if (!made)
		return false;
	is.next = m->m.files;
	*made = is;
	m->m.files = made;
	l->files++;
	return true;
}

static struct group *
group_get(struct ledger *l, const char *op, size_t n)
{
	struct group *g = group_find(l, op, n);

	if (g || n != OP_ID_N || !(g = calloc(1, sizeof(*g))))
		return g;
	memcpy(g->op, op, n);
	HASH_ADD(hh, l->groups, op, OP_ID_N, g);
	return g;
}

static void
put_unfinished(struct ledger *l, struct group *g)
{
	if (g->unfinished)
		return;
	g->unfinished = true;
	g->prev = NULL;
	g->next = l->unfinished;
	if (g->next)
		g->next->prev = g;
	l->unfinished = g;
}

/* Finishes a group: its files are gone, and its members are of no use any more. */
static void
ledger_finish(struct ledger *l, struct group *g)
{
	if (g->unfinished) {
		*(g->prev ? &g->prev->next : &l->unfinished) = g->next;
		if (g->next)
			g->next->prev = g->prev;
		g->unfinished = false;
	}
	for (uint64_t k = 0; k < g->applied; k++)
		if (g->members[k].m)
			g->members[k].m->m.unfinished = false;
	free(g->members);
	g->members = NULL;
	g->n = g->applied = g->cap = 0;
}

static bool
take_member(struct ledger *l, const struct fields *f, int64_t hide_ms)
{
	struct message *m = message_find(l, f->p[2], f->n[2]);
	struct group *g;

	if (f->n[1] != OP_ID_N)
		return true; /* not ours */
	g = group_get(l, f->p[1], f->n[1]);
	/* the disk may have lost the M of this message; it goes with the others all the same */
	if (!m)
		m = message_new(l, f->p[2], f->n[2], "", 0);
	if (!g || !m)
		return false;
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 16;
		struct member *more = realloc(g->members, cap * sizeof(*more));

		if (!more)
			return false;
		g->members = more;
		g->cap = cap;
	}
	g->members[g->n++] = (struct member){m, hide_ms};
	return true;
}

/* Hides a message, or shows it again. A message that is shown again counts as never retrieved: its
 * age begins again. */
static void
set_hidden(struct message *m, int64_t ms)
{
	m->m.hidden_until_ms = ms;
	if (ms == 0)
		m->m.first_retrieved_ms = 0;
}

/* The op-id of earlier deletions in a rewritten ledger: many Cs, with any number, of files that are
 * gone. */
static bool
is_no_op(const struct group *g)
{
	return strcmp(g->op, LEDGER_NO_OP) == 0;
}

static void
ledger_apply(struct member *x, bool no_op, int64_t ms)
{
	if (!x->m)
		return;
	if (x->hide_ms >= 0) {
		set_hidden(x->m, x->hide_ms);
	} else if (!x->m->m.deleted) {
		x->m->m.deleted = true;
		x->m->m.unfinished = !no_op;
		x->m->m.deleted_ms = ms;
	}
}

static bool
take_commit(struct ledger *l, const struct fields *f)
{
	uint64_t says = ledger_number(f, 2);
	struct group *g;
	bool no_op;

	if (f->n[1] != OP_ID_N)
		return true;
	g = group_get(l, f->p[1], f->n[1]);
	if (!g)
		return false;
	no_op = is_no_op(g);
	if (!no_op && g->n - g->applied < says) {
		l->torn++; /* the disk kept the end of the group, but not all of it */
		g->n = g->applied;
		return true;
	}
	/* more lines than C counts: the first ones belong to an append that was to be taken back */
	while (!no_op && g->n - g->applied > says)
		g->members[g->applied++].m = NULL;
	for (; g->applied < g->n; g->applied++)
		ledger_apply(&g->members[g->applied], no_op,
			     (int64_t)(ledger_number(f, 3) & INT64_MAX));
	g->committed = true;
	if (!no_op)
		put_unfinished(l, g);
	return true;
}

/* False: no memory. */
static bool
ledger_take_line(struct ledger *l, const char *p, const char *end)
{
	struct fields f;
	struct message *m;
	struct group *g;

	ledger_split(p, end, &f);
	l->lines++;
	switch (f.count > 0 && f.n[0] == 1 ? f.p[0][0] : '\0') {
	case 'M':
		return f.count < 7 || take_message(l, &f);
	case 'F':
	case 'H':
		m = f.count == 3 ? message_find(l, f.p[1], f.n[1]) : NULL;
		if (m && f.p[0][0] == 'F' && m->m.first_retrieved_ms == 0)
			m->m.first_retrieved_ms = (int64_t)ledger_number(&f, 2);
		else if (m && f.p[0][0] == 'H')
			set_hidden(m, (int64_t)ledger_number(&f, 2));
		return true;
	case 'D':
		return f.count != 3 || take_member(l, &f, -1);
	case 'G':
		return f.count != 4 ||
		       take_member(l, &f, (int64_t)(ledger_number(&f, 3) & INT64_MAX));
	case 'C':
		return f.count != 4 || take_commit(l, &f);
	case 'E':
		g = f.count == 2 ? group_get(l, f.p[1], f.n[1]) : NULL;
		if (g)
			ledger_finish(l, g);
		return true;
	case 'T':
		return f.count != 6 || ledger_take_file(l, &f);
	default:
		return true; /* a line of a newer version: ignored */
	}
}

static bool
line_sound(const char *p, const char *lf)
{
	char hex[9];

	if (lf - p < 10 || p[8] != ' ')
		return false;
	snprintf(hex, sizeof(hex), "%08" PRIx32, ledger_line_crc(p + 9, (size_t)(lf - p) - 9));
	return memcmp(hex, p, 8) == 0;
}

static bool
ledger_begins(const char *text, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

bool
ledger_read(struct ledger *l, const char *text, size_t n, size_t *ret_good)
{
	const char *p = text, *end = text + n;
	size_t bad = 0;

	*ret_good = 0;
	if (ledger_begins(text, n, LEDGER_HEADER))
		p += *ret_good = sizeof(LEDGER_HEADER) - 1;
	else if (ledger_begins(text, n, LEDGER_MAGIC))
		return true; /* a ledger of another version: no line of it is understood */
	for (const char *lf; p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL;
	     p = lf + 1) {
		if (!line_sound(p, lf)) {
			bad++;
			continue;
		}
		if (!ledger_take_line(l, p + 9, lf))
			return false;
		*ret_good = (size_t)(lf + 1 - text);
		l->bad = bad;
	}
	return true;
}

bool
ledger_foreign(const char *text, size_t n, size_t good)
{
	return n > 0 && good == 0 &&
	       (n >= sizeof(LEDGER_HEADER) - 1 || memcmp(text, LEDGER_HEADER, n) != 0);
}

size_t
ledger_bad(const struct ledger *l)
{
	return l->bad;
}
