/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewrites the ledger when most of it is about messages that are gone. It keeps everything about
 * each name that is in tmp, new or cur, including deleted messages of that name, since their
 * numbers must not be given again. Of other names it keeps only imports that must not come again.
 *
 * The directories are read under the ledger's lock, in the order in which files move. The line of
 * an import is written before its file leaves tmp/, so a message that has a line by then is seen in
 * one of the three. readdir may skip a file of cur that another reader renames just then; so
 * everything the session has listed is kept in any case, and nothing is written while files move.
 *
 * A rewrite is due when the ledger has SLACK lines more than twice those that are of use. So it is
 * never longer than that and one session, and on average a line is copied once for each line that
 * is added.
 */
#include "compact.h"

#include <string.h>

#include "find.h"
#include "kill.h"
#include "ledger_file.h"
#include "maildir.h"
#include "match.h"
#include "name.h"
#include "same.h"
#include "snap.h"

#define SLACK 1000 /* useless lines that are not worth a rewrite */
/* records of one message's files: another program may replace the file each day */
#define LOOKS 8

/* ---- lines of use ---------------------------------------------------------------------------- */

/* Marks every message of this name, whatever became of it. */
static bool
mark_name(const char *name, void *ctx)
{
	struct ledger_message *lm;

	for (unsigned k = 1; (lm = name_known(ctx, name, k)) != NULL || k == 1; k++)
		if (lm)
			lm->keep = true;
	return false;
}

static void
mark_listed(const struct snap *s, const struct item *items, size_t n, struct ledger *l)
{
	for (size_t k = 0; k < n; k++) {
		char buf[IDENTITY_CAP];
		size_t id_n;
		const char *identity = name_identity(s, &items[k], buf, &id_n);
		struct ledger_message *lm = ledger_find(l, identity, id_n);

		if (!lm || lm->deleted)
			continue;
		lm->keep = true;
		(void)mark_name(lm->identity, l);
	}
}

struct memory {
	struct ledger *l;
	int64_t now;
};

static void
mark_remembered(struct ledger_message *lm, void *ctx)
{
	const struct memory *x = ctx;

	if (!match_remembers(lm, x->now))
		return;
	lm->keep = true;
	(void)mark_name(lm->identity, x->l);
}

/* The latest records of a message's files: at most 2 * LOOKS, the last one first. A file that could
 * not be read is known only by its inode, size and date. */
static size_t
files_to_keep(const struct ledger_message *lm, const struct ledger_file *ret[2 * LOOKS])
{
	size_t n = 0, read = 0, unread = 0;

	for (const struct ledger_file *f = lm->files; f; f = f->next) {
		size_t *of = strcmp(f->content, SAME_UNREAD) == 0 ? &unread : &read;

		if ((*of)++ < LOOKS)
			ret[n++] = f;
	}
	return n;
}

static void
count_lines(struct ledger_message *lm, void *ctx)
{
	const struct ledger_file *files[2 * LOOKS];
	size_t *n = ctx;

	if (lm->keep)
		*n += 1 + (lm->deleted ? 2 : 0) + files_to_keep(lm, files);
}

size_t
compact_useful(const struct snap *s, struct ledger *l, int64_t now_ms)
{
	struct memory x = {l, now_ms};
	size_t listed = s->n + s->hidden_n, n = 0;

	ledger_each(l, mark_remembered, &x);
	ledger_each(l, count_lines, &n);
	return n > listed ? n : listed; /* new messages get their lines at the end of the session */
}

/* ---- writing --------------------------------------------------------------------------------- */

struct anew {
	struct mbox *m;
	size_t lines; /* lines that were written; 0: the ledger was not rewritten */
};

static void
put_message(struct ledger_message *lm, void *ctx)
{
	const struct ledger_file *files[2 * LOOKS];
	struct ledger_out *o = ctx;
	size_t n;

	if (!lm->keep)
		return;
	ledger_put_remembered(o, lm);
	for (n = files_to_keep(lm, files); n > 0; n--)
		ledger_put_file(o, lm->identity, lm->identity_n, files[n - 1]);
}

/* The fill() of ledger_rewrite. */
static bool
keep_useful(struct ledger *l, struct ledger_out *o, void *ctx)
{
	struct anew *a = ctx;
	struct mbox *m = a->m;
	struct memory x = {l, m->inst->host->wall_ms(m->inst->host->ctx)};
	struct snap before, after;

	mark_listed(m->snap, m->snap->items, m->snap->n, l);
	mark_listed(m->snap, m->snap->hidden, m->snap->hidden_n, l);
	ledger_each(l, mark_remembered, &x);
	snap_stat(m->fd, &before);
	if (find_names(m->fd, mark_name, l) != PM_OK)
		return false;
	snap_stat(m->fd, &after);
	if (!snap_same_dirs(&before, &after))
		return false;
	ledger_each(l, put_message, o);
	ledger_put_done(o, LEDGER_NO_OP);
	a->lines = o->lines;
	KILL_POINT("compact: before it is written");
	return true;
}

bool
compact_ledger(struct mbox *m)
{
	struct anew a = {.m = m};
	struct snap *s = m->snap;

	if (s->ledger_lines <= 2 * s->ledger_useful + SLACK)
		return false;
	ledger_rewrite(m->fd, LEDGER_FILE, m->inst->fsync, keep_useful, &a);
	/* after a failure nobody tries again before the ledger is read again */
	s->ledger_lines = a.lines;
	KILL_POINT("compact: done");
	return true;
}
