/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crash leaves a deletion on its way, or a message that was being appended. The next one who has
 * the MTA's locks finishes it before anything else; the background walks over all mailboxes with
 * such work.
 *
 * - Phase 1: truncation cannot have happened. The file is at least as long as it was, and what
 *   stands around the place of the payload is what stood there (edge.c): go on from step 2. Mail
 *   after the old end first joins the payload: from step 1. Otherwise: conflict.
 * - Phase 2: the file is shorter than the new end: conflict. The nonce is there: not truncated yet,
 *   so from step 4 (with mail after the old end: from step 1). The nonce is gone: truncated, and
 *   what follows came later.
 *
 * The bytes after the old end have to begin as mail does, and a nonce that moved must not be found:
 * otherwise another program rewrote the file meanwhile, and that is a conflict, too, as are another
 * inode and a damaged journal. A conflict never deletes the journal: it is renamed, and the log
 * names both files for a person to look at.
 */
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "append.h"
#include "from_kind.h"
#include "journal.h"
#include "journal_plan.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "parse.h"
#include "say.h"

#define LOOK (MBOX_HEAD + 200) /* a From_ line, and what may stand before and after it */
#define NONCE_SEARCH 8         /* fewer bytes of a nonce may be those of a text */

/* Work on one mailbox, in slices, under the MTA's locks. */
struct recovery {
	struct journal *journal; /* that was found */
	bool judging;
	uint64_t at;         /* while the nonce is looked for */
	struct journal *cut; /* of a delivery's beginning that is cut out */
};

/* ---- conflicts ------------------------------------------------------------------------------- */

static void
conflict_name(const struct location *p, char name[KEY_N + 16])
{
	snprintf(name, KEY_N + 16, "%s.conflict", p->key);
}

static int32_t
recover_conflict(struct inst *i, const struct pm_call *call, const struct location *p,
		 const char *why)
{
	char name[KEY_N + 16];

	conflict_name(p, name);
	sdk_error(call, "'%s' and its journal mbox/journal/%s do not fit: %s", p->path, name, why);
	if (renameat(i->journal_dir, p->key, i->journal_dir, name) != 0)
		return PM_TEMP;
	sdk_count(i->host, "conflicts", 1);
	sdk_log(i->host, PM_LOG_ERROR,
		"'%s' and its journal mbox/journal/%s do not fit: %s; some of its mail may be in "
		"the journal alone: take from both what is to stay. Nobody logs in until the "
		"journal is removed",
		p->path, name, why);
	return PM_PERM;
}

/* PM_OK: there is none. */
static int32_t
recover_none(struct inst *i, const struct pm_call *call, const struct location *p)
{
	char name[KEY_N + 16];
	struct stat st;

	conflict_name(p, name);
	if (fstatat(i->journal_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		sdk_error(call, "mbox/journal/%s waits for somebody to look at it and at '%s'",
			  name, p->path);
		return PM_PERM;
	}
	if (errno == ENOENT)
		return PM_OK;
	sdk_error(call, "'%s': whether mbox/journal/%s exists cannot be told: %s", p->path, name,
		  strerrordesc_np(errno));
	return PM_TEMP;
}

/* ---- one journal ----------------------------------------------------------------------------- */

static bool
nonce_at(const struct journal *j, uint64_t at)
{
	unsigned char now[NONCE];
	const struct journal_head *h = &j->head;

	return pread(j->fd, now, h->nonce_n, (off_t)at) == (ssize_t)h->nonce_n &&
	       memcmp(now, h->nonce, h->nonce_n) == 0;
}

/* Looks for the nonce at another place, because another program rewrote the file. No text holds so
 * many such bytes. 0: *ret_found; EAGAIN: there is more; or an errno. */
static int
recover_search(struct recovery *x, uint64_t size, bool *ret_found)
{
	const struct journal *j = x->journal;
	int64_t end = mbox_now(j->inst) + SLICE_MS;
	char *buf = malloc(PIECE);
	int e = buf ? 0 : ENOMEM;

	lock_keep(j->inst, j->held);
	*ret_found = false;
	while (e == 0 && !*ret_found && j->head.nonce_n >= NONCE_SEARCH && x->at < size) {
		ssize_t got = pread(j->fd, buf, PIECE, (off_t)x->at);

		e = got < 0 ? errno : 0;
		*ret_found = got > 0 && memmem(buf, (size_t)got, j->head.nonce, j->head.nonce_n);
		x->at += PIECE - NONCE;
		if (e == 0 && !*ret_found && x->at < size && mbox_now(j->inst) >= end)
			e = EAGAIN;
	}
	free(buf);
	return e;
}

/* True if mail begins here: a From_ line, after empty lines. */
static bool
mail_at(int fd, uint64_t at)
{
	char buf[LOOK];
	ssize_t got = pread(fd, buf, sizeof(buf), (off_t)at);
	size_t k = 0, n = got > 0 ? (size_t)got : 0;

	while (k < n && (buf[k] == '\n' || buf[k] == '\r'))
		k++;
	return k == n || from_begins(buf + k, n - k);
}

/* True if the text of the journal may go to its place: the message before it ends where it did, and
 * while nothing was truncated the file ends with the text it ended with. Offsets alone prove
 * nothing: Dovecot moves messages and keeps the size. */
static int
recover_fits(const struct journal *j, bool *ret)
{
	const struct journal_head *h = &j->head;
	int e = edge_stands(j->fd, &h->before, h->start, ret);

	if (e == 0 && *ret && h->phase == 1)
		e = edge_stands(j->fd, &h->after, h->old, ret);
	return e;
}

/* Decides how to finish a sound journal before the truncation. *ret_wrong: the text of a conflict.
 * 0 or an errno. */
static int
recover_go_on(struct journal *j, uint64_t size, const char **ret_wrong)
{
	const struct journal_head *h = &j->head;
	bool fits = true;
	int e = 0;

	if (size > h->old && !mail_at(j->fd, h->old)) {
		*ret_wrong = "another program rewrote the mailbox";
		return 0;
	}
	if (h->phase == 1 || size > h->old)
		e = recover_fits(j, &fits);
	if (!fits)
		*ret_wrong = "another program moved or changed the messages around it";
	if (e != 0 || !fits)
		return e;
	j->at = 0;
	if (size > h->old)
		return journal_join(j, h->old, size);
	j->step = h->phase == 1 ? STEP_PUT : STEP_CUT;
	return 0;
}

/* The same for a sound journal, whatever was done. */
static int
recover_judge(struct recovery *x, const struct stat *st, const char **ret_wrong)
{
	struct journal *j = x->journal;
	const struct journal_head *h = &j->head;
	uint64_t size = (uint64_t)st->st_size;
	bool moved;
	int e;

	if (h->ino != st->st_ino)
		*ret_wrong = "the mailbox is another file now";
	else if (size < (h->phase == 1 ? h->old : h->start + h->payload))
		*ret_wrong = "the mailbox is shorter than it was";
	if (*ret_wrong)
		return 0;
	if (h->phase == 1 || nonce_at(j, h->start + h->payload))
		return recover_go_on(j, size, ret_wrong);
	x->at = x->at > h->start ? x->at : h->start;
	e = recover_search(x, size, &moved);
	if (e == 0 && moved)
		*ret_wrong = "another program rewrote the mailbox";
	if (e != 0 || moved)
		return e;
	/* truncated already; only ledger and journal are left */
	j->step = STEP_CUT;
	j->head.payload = size - h->start; /* mail that came later stays */
	return 0;
}

/* Opens the journal, if there is one. 0 or an errno. */
static int
recover_load(struct inst *i, const struct location *p, int fd, struct held *held,
	     struct recovery *x, const char **ret_wrong)
{
	char path[PM_PATH_MAX + 1];
	struct journal *j;
	int jfd = openat(i->journal_dir, p->key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (jfd == -1)
		return errno == ENOENT ? 0 : errno;
	j = calloc(1, sizeof(*j));
	if (!j) {
		(void)close(jfd);
		return ENOMEM;
	}
	*j = (struct journal){.inst = i,
			      .place = p,
			      .held = held,
			      .fd = fd,
			      .jfd = jfd,
			      .from_fd = -1,
			      .step = STEP_DONE};
	x->journal = j;
	x->judging = true;
	if (!journal_load(j, path) || strcmp(path, p->path) != 0)
		*ret_wrong = "the journal is damaged";
	return 0;
}

/* A slice of the work on the journal. 0: it is done; EAGAIN: there is more; or an errno. */
static int
recover_slice(struct recovery *x, const char **ret_wrong)
{
	struct journal *j = x->journal;
	struct stat st;
	int e = 0;

	if (x->judging) {
		e = fstat(j->fd, &st) != 0 ? errno : recover_judge(x, &st, ret_wrong);
		x->judging = e != 0;
	}
	return e == 0 && !*ret_wrong ? journal_slice(j) : e;
}

static int32_t
journal_recover(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		struct held *held, struct recovery *x)
{
	const char *wrong = NULL;
	int e = x->journal ? 0 : recover_load(i, p, fd, held, x, &wrong);

	if (e == 0 && !x->journal)
		return PM_OK;
	if (e == 0 && !wrong)
		e = recover_slice(x, &wrong);
	if (e == EAGAIN)
		return PM_AGAIN;
	journal_free(x->journal);
	x->journal = NULL;
	if (wrong)
		return recover_conflict(i, call, p, wrong);
	if (e != 0) {
		sdk_error(call, "'%s': finishing an interrupted deletion: %s", p->path,
			  strerrordesc_np(e));
		return e == ENOSPC || e == EDQUOT ? PM_NOSPACE : PM_TEMP;
	}
	sdk_count(i->host, "deletions_finished", 1);
	sdk_log(i->host, PM_LOG_NOTICE, "'%s': an interrupted deletion was finished", p->path);
	return PM_OK;
}

int32_t
recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	    struct held *held, struct recovery **recovery)
{
	struct recovery *x = *recovery;
	int32_t rc = PM_OK;

	if (!x) {
		rc = recover_none(i, call, p);
		if (rc == PM_OK && (x = *recovery = calloc(1, sizeof(*x))) == NULL)
			rc = PM_NOMEM;
	}
	if (rc == PM_OK && !x->cut)
		rc = journal_recover(i, call, p, fd, held, x);
	if (rc == PM_OK)
		rc = append_recover(i, call, p, fd, held, &x->cut);
	if (rc != PM_AGAIN)
		recover_drop(recovery);
	return rc;
}

void
recover_drop(struct recovery **recovery)
{
	struct recovery *x = *recovery;

	if (!x)
		return;
	journal_free(x->journal);
	journal_free(x->cut);
	free(x);
	*recovery = NULL;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void
sweep_one(struct inst *i, const struct pm_call *call, const char *path)
{
	struct location p;
	struct recovery *x = NULL;
	struct held h = {0};
	int fd = -1;

	if (!location_of_path(path, &p))
		return;
	if (location_lock(i, call, &p, false, &fd, &h) == PM_OK && fd != -1)
		/* the log has its text, or the next login reports it */
		while (recover_box(i, call, &p, fd, &h, &x) == PM_AGAIN)
			;
	lock_release(&h, fd);
	if (fd != -1)
		(void)close(fd);
}

/* Gives the path of the mailbox of a journal. False: it cannot be read, and the next login reports
 * the reason. */
static bool
read_path(struct inst *i, const char *name, char *path)
{
	struct journal j = {.inst = i, .from_fd = -1};
	bool ok;

	j.jfd = openat(i->journal_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (j.jfd == -1)
		return false;
	ok = journal_load(&j, path);
	(void)close(j.jfd);
	ledger_out_free(&j.list);
	return ok;
}

void
recover_sweep(struct inst *i, const struct pm_call *call)
{
	int fd = openat(i->journal_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	char path[PM_PATH_MAX + 1];
	struct dirent *e;

	if (!d) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if ((strlen(e->d_name) == KEY_N && read_path(i, e->d_name, path)) ||
		    append_path(i, e->d_name, path))
			sweep_one(i, call, path);
	closedir(d);
}
