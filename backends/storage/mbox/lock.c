/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of locks. The session's own is held from login to QUIT: one byte of one of 1,024 files
 * in the state directory, chosen by the hash of the mailbox' path. It is an OFD lock on a
 * descriptor of its own, so that two sessions of this process exclude each other, too. The MTA's
 * locks (dotlock, fcntl, flock, as the site's programs use them) are held only while the file is
 * scanned or changed: mail keeps coming in while a user reads.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "dotlock.h"
#include "location.h"
#include "mbox.h"
#include "say.h"

#define TURN 0x4000000000000000u
#define TURN_MS 3 /* our own turns are short */

/* ---- the session's --------------------------------------------------------------------------- */

/* Locks the byte of this mailbox and purpose. 0: it is ours, and closing *ret_fd releases it;
 * EAGAIN; or another errno. */
static int
lock_byte(struct inst *i, const struct location *p, uint64_t purpose, int *ret_fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	uint64_t at;
	char name[8];
	int fd, e;

	memcpy(&at, p->sum, sizeof(at));
	fl.l_start = (off_t)((at & 0x3fffffffffffffff) | purpose);
	snprintf(name, sizeof(name), "%03x", (p->sum[8] | p->sum[9] << 8) & 0x3ff);
	fd = openat(i->lock_dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return errno;
	if (fcntl(fd, F_OFD_SETLK, &fl) == 0) {
		*ret_fd = fd;
		return 0;
	}
	e = errno == EACCES ? EAGAIN : errno;
	(void)close(fd);
	return e;
}

int32_t
lock_session(struct inst *i, const struct pm_call *call, const struct location *p, int *ret_fd)
{
	int e = lock_byte(i, p, 0, ret_fd);

	if (e == 0 || e == EAGAIN)
		return e == 0 ? PM_OK : PM_BUSY;
	sdk_error(call, "cannot lock '%s' in lock/ of the state directory: %s", p->path,
		  strerrordesc_np(e));
	return PM_TEMP;
}

/* ---- the MTA's: all of them ------------------------------------------------------------------ */

static int
lock_take(struct inst *i, enum mta_lock kind, const struct location *p, int fd, struct held *h)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	switch (kind) {
	case MTA_DOTLOCK:
		return dotlock_take(i, p, h);
	case MTA_FCNTL:
		/* an OFD lock conflicts with everybody's classic locks, and is not dropped when
		 * another descriptor is closed */
		if (fcntl(fd, F_OFD_SETLK, &fl) != 0)
			return errno == EACCES ? EAGAIN : errno;
		h->fcntl = true;
		return 0;
	default:
		if (flock(fd, LOCK_EX | LOCK_NB) != 0)
			return errno;
		h->flock = true;
		return 0;
	}
}

static void
lock_drop(struct held *h, int fd)
{
	struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (h->flock)
		(void)flock(fd, LOCK_UN);
	if (h->fcntl)
		(void)fcntl(fd, F_OFD_SETLK, &fl);
	if (h->dot)
		dotlock_drop(h);
	if (h->turn)
		(void)close(h->turn_fd);
	h->flock = h->fcntl = h->all = h->readonly = h->turn = false;
}

static void
wait_no_more(struct held *h)
{
	if (h->waits)
		atomic_fetch_sub(&h->waits->waiting, 1);
	h->waits = NULL;
	h->asked_ms = 0;
}

/* At most half of the permits wait for other programs at once, so that mailboxes that nobody locks
 * are served meanwhile. */
static bool
may_wait(struct inst *i, struct held *h)
{
	if (h->waits)
		return true;
	if (atomic_fetch_add(&i->waiting, 1) >= i->wait_most) {
		atomic_fetch_sub(&i->waiting, 1);
		return false;
	}
	h->waits = i;
	if (h->asked_ms == 0)
		h->asked_ms = mbox_now(i);
	return true;
}

static const char *const names[MTA_LOCKS] = {"dotlock", "fcntl", "flock"};

static void
lock_nap(long ms)
{
	struct timespec pause = {.tv_nsec = ms * 1000000L};

	(void)nanosleep(&pause, NULL);
}

/* Another session of ours has its turn: PM_AGAIN as long as waiting is allowed. */
static int32_t
not_our_turn(struct inst *i, const struct pm_call *call, const struct location *p, struct held *h)
{
	if (h->asked_ms == 0)
		h->asked_ms = mbox_now(i);
	if (mbox_now(i) - h->asked_ms < i->lock_wait_ms && !call->cancelled(call)) {
		lock_nap(TURN_MS);
		return PM_AGAIN;
	}
	sdk_count(i->host, "turns_in_vain", 1);
	sdk_error(call,
		  "'%s' is being changed by another session or delivery for longer than lock_wait",
		  p->path);
	wait_no_more(h);
	return PM_TEMP;
}

/* Another program has a lock: PM_AGAIN likewise. */
static int32_t
not_yet(struct inst *i, const struct pm_call *call, const struct location *p, struct held *h,
	const char *kind)
{
	bool room = may_wait(i, h);

	if (room && mbox_now(i) - h->asked_ms < i->lock_wait_ms && !call->cancelled(call)) {
		lock_nap(RETRY_MS);
		return PM_AGAIN;
	}
	sdk_count(i->host, "locks_in_vain", 1);
	if (room)
		sdk_error(call, "'%s' is locked by another program (%s) for longer than lock_wait",
			  p->path, kind);
	else
		sdk_error(call,
			  "'%s' is locked by another program (%s), and %u calls wait for such "
			  "locks already",
			  p->path, kind, i->wait_most);
	wait_no_more(h);
	return PM_TEMP;
}

/* Takes one lock after the other, in the configured order. 0 or an errno. */
static int
lock_take_all(struct inst *i, const struct location *p, int fd, struct held *h,
	      const char **ret_kind)
{
	struct statvfs fs;
	int e = 0;

	h->readonly = fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY;
	for (unsigned k = 0; k < i->n_order && e == 0 && !h->readonly; k++) {
		*ret_kind = names[i->order[k]];
		e = lock_take(i, i->order[k], p, fd, h);
	}
	return e;
}

int32_t
lock_mta(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	 struct held *h)
{
	const char *kind = "";
	int e;

	if (h->all)
		return PM_OK;
	e = lock_byte(i, p, TURN, &h->turn_fd);
	h->turn = e == 0;
	if (e == EAGAIN)
		return not_our_turn(i, call, p, h);
	if (e == 0)
		e = lock_take_all(i, p, fd, h, &kind);
	if (e == 0) {
		wait_no_more(h);
		h->all = true;
		return PM_OK;
	}
	lock_drop(h, fd);
	if (e == EAGAIN)
		return not_yet(i, call, p, h, kind);
	wait_no_more(h);
	sdk_error(call, "cannot lock '%s'%s%s: %s%s", p->path,
		  *kind ? " by " : " in lock/ of the state directory", kind, strerrordesc_np(e),
		  strcmp(kind, "dotlock") == 0 ? "; the server needs to write to its directory"
					       : "");
	return e == ENOSPC || e == EDQUOT ? PM_NOSPACE : PM_TEMP;
}

void
lock_keep(struct inst *i, struct held *h)
{
	if (h && h->dot)
		dotlock_keep(i, h);
}

void
lock_release(struct held *h, int fd)
{
	wait_no_more(h);
	lock_drop(h, fd);
}
