/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From file names to a snapshot: the lines of the input are names, those that begin with '+' in
 * new, the others in cur; after a line of '~' they are the names of a second look, after one of '='
 * the ledger's. No other file calls the scanner's inner functions, so its files are included here.
 */
#include "../../backends/storage/maildir/dir.c"
#include "../../backends/storage/maildir/match.c"
#include "../../backends/storage/maildir/name.c"
#include "../../backends/storage/maildir/scan.c"
#include "../../backends/storage/maildir/snap.c"

#include "fuzz.h"

#define HEADER "restante-ledger 1\n"
#define NAME_LIMIT 255
#define LOOKED_FOR 200 /* this many names are looked up one by one */

int32_t
recover_run(struct inst *i, int fd, struct ledger *l, struct recovery **r)
{
	(void)i;
	(void)fd;
	(void)l;
	(void)r;
	return PM_OK;
}

void
recover_free(struct recovery *r)
{
	(void)r;
}

/* Names without files: each one is a message. */
int32_t
twins_run(const struct source *src, struct ledger *l, size_t *at)
{
	(void)l;
	*at = src->s->n;
	return PM_OK;
}

void
twins_keep(const struct source *src)
{
	(void)src;
}

size_t
compact_useful(const struct snap *s, struct ledger *l, int64_t now_ms)
{
	(void)s;
	(void)l;
	(void)now_ms;
	return 0;
}

void
held_free(struct twins *t)
{
	(void)t;
}

/* "identity uidl octets stored": the M records that make these known. */
static void
take_known(struct ledger_out *o, const char *line, size_t n)
{
	char id[NAME_LIMIT + 1], uidl[NAME_LIMIT + 1];
	const char *space = memchr(line, ' ', n);
	size_t id_n = space ? (size_t)(space - line) : 0, uidl_n = space ? n - id_n - 1 : 0;

	if (id_n == 0 || id_n > NAME_LIMIT || uidl_n == 0 || uidl_n > PM_UIDL_MAX)
		return;
	memcpy(id, line, id_n);
	memcpy(uidl, space + 1, uidl_n);
	for (size_t i = 0; i < uidl_n; i++)
		if (uidl[i] < 0x21 || uidl[i] > 0x7e)
			return;
	ledger_put_message(o, id, id_n, uidl, uidl_n, id_n & 1 ? LEDGER_UNKNOWN : 1000, 990, 0, 0);
	if (uidl[0] == 'D') {
		ledger_put_delete(o, "00112233445566778899aabbccddeeff", id, id_n);
		ledger_put_commit(o, "00112233445566778899aabbccddeeff", 1, 1);
	}
}

static void
take_name(struct scanner *sc, const char *line, size_t n)
{
	bool in_new = n > 0 && line[0] == '+';
	char *name;

	line += in_new;
	n -= in_new;
	if (n > NAME_LIMIT || memchr(line, '\0', n) || memchr(line, '/', n))
		return; /* no file system has such a name */
	name = fuzz_alloc(n + 1);
	memcpy(name, line, n);
	name[n] = '\0';
	if (snap_name_ok(name))
		MUST(snap_add(sc->snap, name, in_new, 0));
	free(name);
}

static void
look_again(struct scanner *sc)
{
	MUST(match_run(sc->snap, sc->ledger) == PM_OK);
	scan_begin_again(sc, -1);
}

static void
take_lines(struct scanner *sc, struct ledger_out *o, const char *p, const char *end)
{
	bool known = false;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;

		if (stop - p == 1 && *p == '=')
			known = true;
		else if (stop - p == 1 && *p == '~' && !known)
			look_again(sc);
		else if (known)
			take_known(o, p, (size_t)(stop - p));
		else
			take_name(sc, p, (size_t)(stop - p));
		p = lf ? lf + 1 : end;
	}
}

static void
check_item(const struct scanner *sc, const struct item *it)
{
	const char *name = sc->snap->names + it->name, *uidl = sc->snap->names + it->uidl;
	const struct ledger_message *m = ledger_find(sc->ledger, name, it->base_n);
	char path[NAME_LIMIT + 8];

	MUST(it->name < sc->snap->names_n && it->uidl < sc->snap->names_n);
	MUST(it->base_n >= 1 && it->base_n <= strlen(name));
	MUST(it->uidl_n >= 1 && it->uidl_n <= PM_UIDL_MAX);
	for (size_t i = 0; i < it->uidl_n; i++)
		MUST(uidl[i] >= 0x21 && uidl[i] <= 0x7e);
	MUST(!m ||
	     (!m->deleted && m->uidl_n == it->uidl_n && memcmp(m->uidl, uidl, it->uidl_n) == 0));
	if (it->octets != UNKNOWN_OCTETS)
		MUST(it->stored <= it->octets && it->octets - it->stored <= it->stored);
	name_path(sc->snap, it, path, sizeof(path));
	MUST(strcmp(path + 4, name) == 0 && strncmp(path, it->in_new ? "new/" : "cur/", 4) == 0);
}

/* Joins; every earlier message is still there, once, or was deleted. */
static void
check_join(struct scanner *sc)
{
	struct snap *s = sc->snap;
	size_t n = s->n < LOOKED_FOR ? s->n : LOOKED_FOR;
	struct item *before = fuzz_copy(s->items, n * sizeof(*before));

	MUST(match_run(sc->snap, sc->ledger) == PM_OK);
	for (size_t b = 0; b < n; b++) {
		const char *base = s->names + before[b].name;
		const struct ledger_message *m = ledger_find(sc->ledger, base, before[b].base_n);
		size_t found = 0;

		for (size_t k = 0; k < s->n; k++)
			found += s->items[k].base_n == before[b].base_n &&
				 memcmp(s->names + s->items[k].name, base, before[b].base_n) == 0;
		MUST(found == (m && m->deleted ? 0 : 1));
	}
	free(before);
}

/* The record that is appended to the ledger for an item finds it again. */
static void
check_ledger(const struct snap *s)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	size_t good;

	ledger_put_header(&o);
	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];

		ledger_put_message(&o, s->names + it->name, it->base_n, s->names + it->uidl,
				   it->uidl_n, it->octets, it->stored, 0, 0);
	}
	MUST(l && !o.failed && ledger_read(l, o.text, o.n, &good) && good == o.n);
	MUST(ledger_count(l) == s->n); /* one identity, one message */
	for (size_t k = 0; k < s->n; k++)
		MUST(ledger_find(l, s->names + s->items[k].name, s->items[k].base_n));
	ledger_free(l);
	ledger_out_free(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct scanner *sc = calloc(1, sizeof(*sc));
	struct ledger_out o = {0};
	size_t good;

	MUST(sc && (sc->snap = calloc(1, sizeof(*sc->snap))) && (sc->ledger = ledger_new()));
	ledger_put_header(&o);
	take_lines(sc, &o, (const char *)data, (const char *)data + n);
	MUST(!o.failed && ledger_read(sc->ledger, o.text, o.n, &good) && good == o.n);
	check_join(sc);
	sort_names = sc->snap->names;
	for (size_t k = 0; k < sc->snap->n; k++) {
		check_item(sc, &sc->snap->items[k]);
		MUST(k == 0 || by_arrival(&sc->snap->items[k - 1], &sc->snap->items[k]) < 0);
	}
	check_ledger(sc->snap);
	ledger_out_free(&o);
	scan_free(sc);
	return 0;
}
