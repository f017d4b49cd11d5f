/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crash leaves a deletion on its way, or a message that was being appended. The next one who has
 * the MTA's locks finishes it before anything else; the background walks over all mailboxes with
 * such work.
 *
 * - Phase 1: truncation cannot have happened. The file is at least as long as it was: go on from
 *   step 2. Mail after the old end first joins the payload: from step 1. The file is shorter:
 *   conflict.
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
#include "journal.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "parse.h"
#include "say.h"

#define LOOK 700 /* a From_ line and the bytes that may precede it */

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

static bool
has_conflict(struct inst *i, const struct location *p)
{
	char name[KEY_N + 16];

	conflict_name(p, name);
	return faccessat(i->journal_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
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

/* True if the nonce is at another place because another program rewrote the file. No text holds
 * such bytes. */
static bool
nonce_elsewhere(const struct journal *j, uint64_t size)
{
	const struct journal_head *h = &j->head;
	char *buf = malloc(PIECE);
	bool found = !buf; /* without memory it counts as found */

	for (uint64_t at = h->start; buf && !found && at < size; at += PIECE - NONCE) {
		ssize_t got = pread(j->fd, buf, PIECE, (off_t)at);

		found = got < 0 || memmem(buf, (size_t)got, h->nonce, h->nonce_n) != NULL;
	}
	free(buf);
	return found;
}

/* True if mail begins here: a From_ line, after empty lines. */
static bool
mail_at(int fd, uint64_t at)
{
	char buf[LOOK];
	ssize_t got = pread(fd, buf, sizeof(buf), (off_t)at);
	size_t k = 0, n = got > 0 ? (size_t)got : 0;
	const char *lf;

	while (k < n && (buf[k] == '\n' || buf[k] == '\r'))
		k++;
	lf = memchr(buf + k, '\n', n - k);
	return k == n || (lf && parse_is_from(buf + k, (size_t)(lf - buf) - k));
}

/* Decides how to finish a sound journal. Returns the text of a conflict, or NULL. */
static const char *
recover_judge(struct journal *j, const struct stat *st, int *ret_e)
{
	const struct journal_head *h = &j->head;
	uint64_t size = (uint64_t)st->st_size;

	*ret_e = 0;
	if (h->ino != st->st_ino)
		return "the mailbox is another file now";
	if (size < (h->phase == 1 ? h->old : h->start + h->payload))
		return "the mailbox is shorter than it was";
	if (h->phase == 2 && !nonce_at(j, h->start + h->payload)) {
		if (nonce_elsewhere(j, size))
			return "another program rewrote the mailbox";
		/* truncated already; only ledger and journal are left */
		j->step = STEP_CUT;
		j->head.payload = size - h->start; /* mail that came later stays */
		return NULL;
	}
	if (size > h->old && !mail_at(j->fd, h->old))
		return "another program rewrote the mailbox";
	if (size > h->old)
		*ret_e = journal_join(j, h->old, size);
	else
		j->step = h->phase == 1 ? STEP_PUT : STEP_CUT;
	j->at = 0;
	return NULL;
}

static int32_t
journal_recover(struct inst *i, const struct pm_call *call, const struct location *p, int fd)
{
	struct journal j = {.inst = i, .place = p, .fd = fd, .step = STEP_PUT};
	char path[PM_PATH_MAX + 1];
	const char *wrong;
	struct stat st;
	int e = 0;

	j.jfd = openat(i->journal_dir, p->key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (j.jfd == -1)
		return errno == ENOENT ? PM_OK : PM_TEMP;
	if (fstat(fd, &st) != 0)
		e = errno;
	wrong = e ? NULL
		: !journal_load(&j, path) || strcmp(path, p->path) != 0
			? "the journal is damaged"
			: recover_judge(&j, &st, &e);
	while (!wrong && e == 0 && j.step != STEP_DONE) {
		e = journal_step(&j);
		e = e == EAGAIN ? 0 : e;
	}
	if (j.jfd != -1)
		(void)close(j.jfd);
	ledger_out_free(&j.list);
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
recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd)
{
	int32_t rc;

	if (has_conflict(i, p)) {
		sdk_error(call,
			  "mbox/journal/%s.conflict waits for somebody to look at it and at '%s'",
			  p->key, p->path);
		return PM_PERM;
	}
	rc = journal_recover(i, call, p, fd);
	return rc == PM_OK ? append_recover(i, call, p, fd) : rc;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void
sweep_one(struct inst *i, const struct pm_call *call, const char *path)
{
	struct location p;
	struct held h = {0};
	int fd = -1;

	if (!location_of_path(path, &p))
		return;
	if (location_lock(i, call, &p, false, &fd, &h) == PM_OK && fd != -1)
		(void)recover_box(i, call, &p,
				  fd); /* the log has its text, or the next login reports it */
	lock_release(&h, fd);
	if (fd != -1)
		(void)close(fd);
}

/* Gives the path of the mailbox of a journal. False: it cannot be read, and the next login reports
 * the reason. */
static bool
read_path(struct inst *i, const char *name, char *path)
{
	struct journal j = {.inst = i};
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
