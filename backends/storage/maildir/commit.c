/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIT. The commit point is a group in the ledger, written in one append and fsynced: from then on the
 * deletions are done, whatever happens. The files go afterwards, in slices; then the record E. A process that
 * dies in between leaves a group without E: the next exclusive opener unlinks what is left, everybody else
 * counts its messages as deleted.
 *
 * A full disk must allow deleting: if the group cannot be written even after the reserve was freed, the files
 * are unlinked without it, and the answer says so (PM_PARTIAL) when that is interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "kill.h"
#include "maildir.h"

#define RECOVER_LOOKS 4

#define COMPACT_SLACK 4000 /* records that may be dead before the ledger is rewritten */

/* ---- what was learnt ------------------------------------------------------------------------- */

struct alive {
	struct mbox *m;
	struct ledger_out *o;
	int64_t now;
};

/* An import has its line in the ledger before its file leaves tmp/. */
static bool
under_way(const struct mbox *m, const struct ledger_message *lm)
{
	char path[300];

	if (lm->deleted || lm->identity_n > 255 || join_own_uidl(lm->identity, lm->identity_n, lm->uidl, lm->uidl_n))
		return false;
	snprintf(path, sizeof(path), "tmp/%s", lm->identity);
	return faccessat(m->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Of messages this session did not see only imports are kept: those under way, and those that must not come again. */
static void
keep_import(struct ledger_message *lm, void *ctx)
{
	const struct alive *a = ctx;

	if (join_remembers(lm, a->now))
		ledger_put_remembered(a->o, lm);
	else if (under_way(a->m, lm))
		ledger_put_message(a->o, lm->identity, lm->identity_n, lm->uidl, lm->uidl_n, lm->octets, lm->stored,
				   lm->first_retrieved_ms, lm->hidden_until_ms);
}

static void
put_item(struct ledger_out *o, const struct scan *s, const struct item *it)
{
	ledger_put_message(o, s->names + it->name, it->base_n, s->names + it->uidl, it->uidl_n, it->octets, it->stored,
			   it->first_ms, it->hidden_ms);
}

/* ledger_rewrite's fill(): only while the snapshot is the directories. */
static bool
keep_alive(struct ledger *l, struct ledger_out *o, void *ctx)
{
	struct alive a = {.m = ctx, .o = o};
	const struct scan *s = a.m->scan;
	struct scan now;

	a.now = a.m->inst->host->wall_ms(a.m->inst->host->ctx);
	ledger_each(l, keep_import, &a);
	ledger_put_done(o, LEDGER_NO_OP);
	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];

		put_item(o, s, it);
	}
	for (size_t k = 0; k < s->hidden_n; k++)
		put_item(o, s, &s->hidden[k]);
	scan_stat(a.m->fd, &now); /* last: what left tmp/ meanwhile has changed new/ */
	return scan_same_dirs(s, &now);
}

void
commit_learnt(struct mbox *m)
{
	struct scan *s = m->scan, now;
	struct ledger_out o = {0};
	size_t new_lines = 0;
	int rc;

	if (!s->dirty || m->committed)
		return;
	for (size_t k = 0; k < s->n; k++) {
		struct item *it = &s->items[k];

		if (!it->dirty)
			continue;
		put_item(&o, s, it);
		it->dirty = false;
		new_lines++;
	}
	rc = o.failed ? ENOMEM : ledger_append(m->fd, LEDGER_FILE, o.text, o.n, false);
	if (rc != 0)
		sdk_log(m->inst->host, PM_LOG_WARNING, "sizes could not be kept in the ledger: %s; they are counted again",
			strerrordesc_np(rc));
	ledger_out_free(&o);
	s->dirty = false;
	s->ledger_lines += new_lines;
	if (s->ledger_lines > 2 * s->n + 3 * s->remembered + COMPACT_SLACK) {
		ledger_rewrite(m->fd, LEDGER_FILE, m->inst->fsync, keep_alive, m);
		s->ledger_lines = s->n + 3 * s->remembered;
	}
	scan_stat(m->fd, &now); /* our own append is no change for the cache */
	s->ledger_ino = now.ledger_ino;
	s->ledger_size = now.ledger_size;
}

/* ---- deletions ------------------------------------------------------------------------------- */

static bool
bit(const uint8_t *map, uint64_t k)
{
	return map && (map[k / 8] >> (k % 8) & 1);
}

bool
commit_sync_dirs(const struct inst *i, int fd)
{
	static const char *const dirs[] = {"new", "cur"};
	bool ok = true;

	for (int k = 0; k < 2 && i->fsync; k++) {
		int dfd = openat(fd, dirs[k], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (dfd == -1) {
			ok = ok && errno == ENOENT;
			continue;
		}
		ok = fsync(dfd) == 0 && ok;
		(void)close(dfd);
	}
	return ok;
}

/* Of files that go: the group says what is deleted, and a crash before this is recovered. */
static void
sync_dirs(const struct inst *i, int fd)
{
	(void)commit_sync_dirs(i, fd);
}

/* Nobody asked for its size, and maildirsize is to know what goes. */
static void
note_stored(struct mbox *m, struct item *it, const char *path)
{
	struct stat st;

	if (it->octets == UNKNOWN_OCTETS && fstatat(m->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		it->stored = (uint64_t)st.st_size;
}

/* 0, or the errno of a file that will not go. ENOENT, after several looks: gone, or renamed faster than that. */
static int
remove_one(struct mbox *m, struct item *it)
{
	char path[300];

	for (int tries = 0; tries < RELOCATE_TRIES; tries++) {
		scan_path(m->scan, it, path, sizeof(path));
		note_stored(m, it, path);
		if (unlinkat(m->fd, path, 0) == 0)
			return 0;
		if (errno != ENOENT)
			return errno;
		if (!find_again(m->fd, m->scan, it))
			break;
	}
	return ENOENT;
}

/* With all its twins: other programs' crashes leave a message in new and in cur. */
static int
remove_item(struct mbox *m, struct item *it)
{
	int e = remove_one(m, it);

	for (int k = 0; e == 0 && it->twins && k < RELOCATE_TRIES && find_again(m->fd, m->scan, it); k++)
		(void)remove_one(m, it); /* what stays is in a group: it stays deleted */
	return e;
}

/* Retrieved and kept: from new to cur, seen. A convenience: failures change nothing. */
static void
mark_seen(struct mbox *m, struct item *it)
{
	char from[300], to[320], *flags;

	if (!m->inst->mark_seen)
		return;
	scan_path(m->scan, it, from, sizeof(from));
	snprintf(to, sizeof(to), "cur/%s", m->scan->names + it->name);
	flags = strstr(to, ":2,");
	if (flags && strchr(flags + 3, 'S'))
		return;
	if (!flags) {
		snprintf(to + strlen(to), sizeof(to) - strlen(to), ":2,S");
	} else { /* flags stand in the order of ASCII */
		for (flags += 3; *flags && *flags < 'S'; flags++)
			;
		if (strlen(to) + 2 > sizeof(to))
			return;
		memmove(flags + 1, flags, strlen(flags) + 1);
		*flags = 'S';
	}
	if (strlen(to) - 4 < 255)
		(void)renameat(m->fd, from, m->fd, to);
}

/* Do files go with this commit? */
static bool
removes(const struct pm_commit *c)
{
	return c->del && c->keep_until_ms == 0;
}

/* The group's records; false: no memory. */
static bool
put_group(struct mbox *m, const struct pm_commit *c, struct ledger_out *o, uint64_t *ret_n)
{
	struct scan *s = m->scan;

	*ret_n = 0;
	for (uint64_t k = 0; k < s->n; k++) {
		struct item *it = &s->items[k];

		if (bit(c->del, k)) {
			/* a message the ledger never heard of must be known before it is deleted */
			if (it->dirty)
				put_item(o, s, it);
			if (c->keep_until_ms != 0)
				ledger_put_hide(o, m->op, s->names + it->name, it->base_n, c->keep_until_ms);
			else
				ledger_put_delete(o, m->op, s->names + it->name, it->base_n);
			++*ret_n;
		} else {
			if (it->dirty)
				put_item(o, s, it);
			if (bit(c->restore, k) && it->hidden_ms != 0) {
				ledger_put_hide(o, m->op, s->names + it->name, it->base_n, 0);
				++*ret_n;
			}
		}
		if (bit(c->retrieved, k) && it->first_ms == 0)
			ledger_put_mark(o, 'F', s->names + it->name, it->base_n, c->now_ms);
	}
	if (*ret_n > 0)
		ledger_put_commit(o, m->op, *ret_n, c->now_ms);
	if (*ret_n > 0 && !removes(c))
		ledger_put_done(o, m->op); /* no file is to go */
	return !o->failed;
}

/* The first half: up to the commit point. */
static int32_t
commit_group(struct mbox *m, const struct pm_call *call, const struct pm_commit *c)
{
	struct ledger_out o = {0};
	uint64_t n;
	int rc;

	ledger_op_hex(call->op_id, m->op);
	if (!put_group(m, c, &o, &n)) {
		ledger_out_free(&o);
		return PM_NOMEM;
	}
	rc = o.n > 0 ? ledger_append(m->fd, LEDGER_FILE, o.text, o.n, n > 0 && m->inst->fsync) : 0;
	if (rc == ENOSPC || rc == EDQUOT) {
		const struct pm_host *h = m->inst->host;

		if (h->reserve_release(h->ctx, (struct pm_str){m->inst->prefix, strlen(m->inst->prefix)}) == PM_OK)
			rc = ledger_append(m->fd, LEDGER_FILE, o.text, o.n, n > 0 && m->inst->fsync);
	}
	ledger_out_free(&o);
	KILL_POINT("commit: after the group");
	if (rc == 0)
		return PM_OK;
	if ((rc == ENOSPC || rc == EDQUOT) && removes(c)) {
		sdk_log(m->inst->host, PM_LOG_WARNING, "the disk is full: deleting without a record in the ledger");
		m->commit_partial = true;
		return PM_OK;
	}
	if (n == 0) {
		sdk_error(call, "marks could not be written: %s", strerrordesc_np(rc));
		return PM_TEMP;
	}
	sdk_error(call, "the ledger could not be written: %s", strerrordesc_np(rc));
	/* the append was taken back, or it is torn and never happened; a failed fsync is another matter */
	return rc == EIO ? PM_UNKNOWN : PM_TEMP;
}

/* Hidden mail is on the disk all the same: maildirsize counts it until it goes. */
static void
count_size(struct mbox *m, const struct pm_commit *c)
{
	int64_t octets = 0, n = 0;

	for (uint64_t k = 0; k < m->scan->n && removes(c); k++) {
		if (!bit(c->del, k))
			continue;
		octets += (int64_t)m->scan->items[k].stored;
		n++;
	}
	if (n > 0)
		size_add(m->fd, -octets, -n);
}

/* The second half, in slices: PM_OK, PM_AGAIN, PM_PARTIAL. */
static int32_t
commit_files(struct mbox *m, const struct pm_commit *c)
{
	int64_t until = maildir_now(m->inst) + SLICE_MS;
	struct ledger_out o = {0};

	for (; m->commit_at < m->scan->n; m->commit_at++) {
		struct item *it = &m->scan->items[m->commit_at];

		if (bit(c->del, m->commit_at) && c->keep_until_ms != 0) {
			m->commit_done++;
		} else if (bit(c->del, m->commit_at)) {
			int e = remove_item(m, it);

			KILL_POINT("commit: a file is gone");
			if (e == ENOENT)
				m->commit_unseen = true;
			else if (e)
				m->commit_failed = e;
			m->commit_done += e == 0 || e == ENOENT;
		} else if (bit(c->retrieved, m->commit_at)) {
			mark_seen(m, it);
		}
		if ((m->commit_at & 63) == 63 && maildir_now(m->inst) >= until) {
			m->commit_at++;
			return PM_AGAIN;
		}
	}
	sync_dirs(m->inst, m->fd);
	KILL_POINT("commit: before done");
	if (m->commit_failed) {
		sdk_log(m->inst->host, PM_LOG_WARNING, "a deleted message could not be removed: %s; it stays deleted",
			strerrordesc_np(m->commit_failed));
		return PM_PARTIAL;
	}
	count_size(m, c);
	if (!m->commit_partial && !m->commit_unseen && removes(c)) {
		ledger_put_done(&o, m->op);
		if (!o.failed)
			(void)ledger_append(m->fd, LEDGER_FILE, o.text, o.n, false); /* without it: done again, for nothing */
		ledger_out_free(&o);
	}
	return PM_OK;
}

int32_t
maildir_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit, uint64_t *ret_done)
{
	struct mbox *m = mbox;
	int32_t rc;

	if (commit->n != m->scan->n || !(m->flags & PM_OPEN_EXCLUSIVE))
		return PM_INVALID;
	if (m->fd == -1 || m->scan->n == 0)
		return PM_OK; /* there is nothing to delete */
	if (!m->committed) {
		rc = commit_group(m, call, commit);
		if (rc != PM_OK)
			return rc;
		m->committed = true; /* the same op_id again goes on from here */
	}
	rc = commit_files(m, commit);
	if (rc == PM_PARTIAL || rc == PM_OK)
		*ret_done = m->commit_done;
	return rc;
}

/* ---- hidden, and over ------------------------------------------------------------------------ */

#define PURGE_MAX 500 /* files of one open */

void
commit_purge(struct mbox *m)
{
	int64_t now = m->inst->host->wall_ms(m->inst->host->ctx), octets = 0, n = 0;
	struct scan *s = m->scan;
	struct item *list = s->with_hidden ? s->items : s->hidden;
	size_t count = s->with_hidden ? s->n : s->hidden_n, out = 0;
	bool may = m->flags & PM_OPEN_EXCLUSIVE;

	for (size_t k = 0; k < count; k++) {
		struct item *it = &list[k];
		bool over = it->hidden_ms != 0 && it->hidden_ms <= now;
		int e = over && may && n < PURGE_MAX ? remove_item(m, it) : EAGAIN;

		if (e == 0 || e == ENOENT) {
			octets += (int64_t)it->stored;
			n++;
		} else if (!over || !s->with_hidden) {
			list[out++] = *it; /* tried again by the next opener; until then nobody sees it */
		}
	}
	*(s->with_hidden ? &s->n : &s->hidden_n) = out;
	if (n == 0)
		return;
	sync_dirs(m->inst, m->fd);
	size_add(m->fd, -octets, -n);
	s->settled = false; /* it is no longer the directories */
	sdk_log(m->inst->host, PM_LOG_DEBUG, "%lld messages whose undo time is over were removed", (long long)n);
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* What a committed group deleted and is still in this directory goes now. *ret_seen: how many were there. */
static unsigned
recover_dir(int fd, const char *dir, struct ledger *l, unsigned *ret_seen)
{
	int dfd = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = dfd != -1 ? fdopendir(dfd) : NULL;
	unsigned gone = 0;
	struct dirent *e;

	if (!d) {
		if (dfd != -1)
			(void)close(dfd);
		++*ret_seen; /* who knows */
		return 0;
	}
	while ((e = readdir(d)) != NULL) {
		const struct ledger_message *lm = ledger_find(l, e->d_name, strcspn(e->d_name, ",:"));

		if (!lm || !lm->deleted)
			continue;
		++*ret_seen;
		gone += unlinkat(dfd, e->d_name, 0) == 0;
	}
	closedir(d);
	return gone;
}

void
commit_recover(struct inst *i, int fd, struct ledger *l)
{
	struct ledger_out o = {0};
	unsigned gone = 0, seen = 1;
	const char *op;

	/* until a look finds nothing: another reader renames beside us */
	for (int look = 0; look < RECOVER_LOOKS && seen > 0; look++) {
		seen = 0;
		gone += recover_dir(fd, "new", l, &seen) + recover_dir(fd, "cur", l, &seen);
	}
	sync_dirs(i, fd);
	for (size_t k = 0; seen == 0 && (op = ledger_unfinished(l, k)) != NULL; k++)
		ledger_put_done(&o, op);
	if (seen == 0 && !o.failed)
		(void)ledger_append(fd, LEDGER_FILE, o.text, o.n, false); /* else the next opener looks again */
	ledger_out_free(&o);
	sdk_count(i->host, seen > 0 ? "commits_stuck" : "commits_finished", 1);
	if (seen > 0)
		sdk_log(i->host, PM_LOG_WARNING, "deleted messages are still there and cannot be removed; they stay deleted");
	else if (gone > 0)
		sdk_log(i->host, PM_LOG_NOTICE, "finished an interrupted commit: %u messages removed", gone);
}
