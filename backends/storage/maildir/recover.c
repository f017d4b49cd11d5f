/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finishing the commits of sessions that died between their commit point and the last file. The
 * directories are looked through until a look finds nothing, since another reader may rename files
 * meanwhile; then the groups get their record E. A group that cannot be finished stays, and its
 * messages stay deleted.
 */
#include "recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dir.h"
#include "find.h"
#include "held.h"
#include "ledger_file.h"
#include "ledger_write.h"
#include "match.h"
#include "name.h"
#include "same.h"
#include "say.h"
#include "snap.h"
#include "twins.h"

#define RECOVER_LOOKS 4
#define FILES_PER_LOOK 16 /* between two looks at the clock */

/* A look through the directories, and the count of those before it. */
struct recovery {
	struct snap *s; /* files whose names deleted messages have; NULL: no look is under way */
	struct find find;
	struct twins twins;
	bool sorted;
	size_t proven, at;   /* items */
	unsigned looks;      /* that were made to their end */
	unsigned seen, gone; /* files: of this look, that had to go; of all looks, that went */
};

static void
end_look(struct recovery *r)
{
	find_end(&r->find);
	held_free(&r->twins);
	snap_free(r->s);
	r->s = NULL;
	memset(&r->twins, 0, sizeof(r->twins));
	r->sorted = false;
	r->proven = r->at = 0;
}

void
recover_free(struct recovery *r)
{
	if (r)
		end_look(r);
	free(r);
}

/* ---- one look -------------------------------------------------------------------------------- */

/* True if a message of this name, or one of the numbered ones, has to go. */
static bool
to_go(const char *name, void *ctx)
{
	const struct ledger_message *lm;

	for (unsigned k = 1; (lm = name_known(ctx, name, k)) != NULL || k == 1; k++)
		if (lm && lm->deleted && lm->unfinished)
			return true;
	return false;
}

static void
unlink_deleted(struct recovery *r, int fd, struct ledger *l, const struct item *it)
{
	char path[300], buf[IDENTITY_CAP];
	size_t n;
	const char *identity = name_identity(r->s, it, buf, &n);
	const struct ledger_message *lm = it->number > 0 ? ledger_find(l, identity, n) : NULL;

	name_path(r->s, it, path, sizeof(path));
	if (!lm || !lm->deleted || !lm->unfinished || !same_as_known(fd, path, lm))
		return;
	r->seen++;
	r->gone += unlinkat(fd, path, 0) == 0;
}

/* Finds the files, tells whose they are, and unlinks them. PM_AGAIN, or PM_OK at the end of the
 * look; other codes: the directories could not be read. */
static int32_t
look_on(struct recovery *r, struct inst *i, int fd, struct ledger *l)
{
	const struct source src = {i, NULL, fd, r->s, &r->twins, maildir_now(i) + SLICE_MS};
	int32_t rc;

	r->find.until_ms = src.until_ms;
	rc = find_some(&r->find, to_go, l);
	if (rc == PM_OK && !r->sorted)
		rc = match_sort(r->s) ? PM_OK : PM_NOMEM;
	r->sorted = rc == PM_OK;
	if (rc == PM_OK)
		rc = twins_run(&src, l, &r->proven);
	if (rc != PM_OK)
		return rc;
	while (r->at < r->s->n) {
		unlink_deleted(r, fd, l, &r->s->items[r->at++]);
		if (r->at < r->s->n && r->at % FILES_PER_LOOK == 0 &&
		    maildir_now(i) >= src.until_ms)
			return PM_AGAIN;
	}
	return PM_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void
recover_end(struct recovery *r, struct inst *i, int fd, struct ledger *l)
{
	struct ledger_out o = {0};
	const char *op = NULL;

	/* the group names what is deleted, and a crash before this is recovered */
	(void)dir_sync(i, fd);
	while (r->seen == 0 && (op = ledger_unfinished(l, op)) != NULL)
		ledger_put_done(&o, op);
	if (r->seen == 0 && !o.failed)
		/* without this record the next opener looks again */
		(void)ledger_append(fd, LEDGER_FILE, o.text, o.n, false);
	ledger_out_free(&o);
	sdk_count(i->host, r->seen > 0 ? "commits_stuck" : "commits_finished", 1);
	if (r->seen > 0)
		dir_log(i, fd, PM_LOG_WARNING,
			"deleted messages are still there and cannot be removed; they stay "
			"deleted");
	else if (r->gone > 0)
		dir_log(i, fd, PM_LOG_NOTICE, "finished an interrupted commit: %u messages removed",
			r->gone);
}

int32_t
recover_run(struct inst *i, int fd, struct ledger *l, struct recovery **pr)
{
	struct recovery *r = *pr ? *pr : calloc(1, sizeof(*r));
	int32_t rc;

	if (!r)
		return PM_NOMEM;
	*pr = r;
	while (r->looks < RECOVER_LOOKS && (r->looks == 0 || r->seen > 0)) {
		if (!r->s) {
			r->seen = 0;
			r->s = calloc(1, sizeof(*r->s));
			find_begin(&r->find, fd, r->s);
			r->find.inst = i;
		}
		rc = r->s ? look_on(r, i, fd, l) : PM_NOMEM;
		if (rc == PM_AGAIN)
			return rc;
		if (rc != PM_OK)
			r->seen++; /* a file may still be there */
		end_look(r);
		r->looks++;
	}
	recover_end(r, i, fd, l);
	recover_free(r);
	*pr = NULL;
	return PM_OK;
}
