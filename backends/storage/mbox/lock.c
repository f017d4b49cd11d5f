/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of locks. The session's own, from login to QUIT: one byte of one of 1,024 files in the state directory,
 * by the hash of the mailbox' path; OFD, so that two sessions of this process exclude each other too, and each
 * opens the file anew. And the MTA's - dotlock, fcntl, flock, whichever the site's programs use - only while the
 * file is scanned or changed: mail keeps coming in while somebody reads his.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"
#include "path.h"

#define TOUCH_MS 30000    /* others break a dotlock that nobody touched for some minutes */
#define STALE_S 600       /* and so do we */

/* ---- the session's --------------------------------------------------------------------------- */

int32_t
lock_session(struct inst *i, const struct pm_call *call, const struct place *p, int *ret_fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	uint64_t at;
	char name[8];
	int fd;

	memcpy(&at, p->sum, sizeof(at));
	fl.l_start = (off_t)(at & 0x3fffffffffffffff);
	snprintf(name, sizeof(name), "%03x", (p->sum[8] | p->sum[9] << 8) & 0x3ff);
	fd = openat(i->lock_dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		sdk_error(call, "cannot open lock/%s in the state directory: %s", name, strerrordesc_np(errno));
		return PM_TEMP;
	}
	if (fcntl(fd, F_OFD_SETLK, &fl) == 0) {
		*ret_fd = fd;
		return PM_OK;
	}
	if (errno == EAGAIN || errno == EACCES) {
		(void)close(fd);
		return PM_BUSY;
	}
	sdk_error(call, "cannot lock lock/%s in the state directory: %s", name, strerrordesc_np(errno));
	(void)close(fd);
	return PM_TEMP;
}

/* ---- the MTA's ------------------------------------------------------------------------------- */

/* 0, EAGAIN: somebody has it, or another errno. */
static int
take_dotlock(struct inst *i, const struct place *p, struct held *h)
{
	const char *root, *rel = sdk_path_below(p->path, i->prefix, &root), *slash = strrchr(rel, '/');
	char text[24], dir[PM_PATH_MAX + 1] = ".";
	struct stat st;
	int base, fd, n, e;

	if (snprintf(h->name, sizeof(h->name), "%s.lock", slash ? slash + 1 : rel) >= (int)sizeof(h->name))
		return ENAMETOOLONG;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - rel), rel);
	base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	h->dir = base != -1 ? sdk_open_beneath(base, dir, O_RDONLY | O_DIRECTORY, 0) : -1;
	e = errno;
	if (base != -1)
		(void)close(base);
	if (h->dir == -1)
		return e;
	fd = openat(h->dir, h->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	e = errno;
	if (fd == -1 && e == EEXIST && fstatat(h->dir, h->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > STALE_S && unlinkat(h->dir, h->name, 0) == 0)
		sdk_log(i->host, PM_LOG_WARNING, "'%s.lock' was %lld s old: its owner is gone, it was removed", p->path,
			(long long)(time(NULL) - st.st_mtime)); /* with the next try it is ours */
	if (fd == -1) {
		(void)close(h->dir);
		return e == EEXIST ? EAGAIN : e;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (write(fd, text, (size_t)n) != n)
		errno = 0; /* the number is for people: an empty file locks as well, also on a full disk */
	(void)close(fd);
	h->dot = true;
	h->touched_ms = mbox_now(i);
	return 0;
}

static int
take(struct inst *i, enum mta_lock kind, const struct place *p, int fd, struct held *h)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	switch (kind) {
	case MTA_DOTLOCK:
		return take_dotlock(i, p, h);
	case MTA_FCNTL:
		/* an OFD lock conflicts with everybody's classic ones and is not dropped by another descriptor's close */
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

static const char *const names[MTA_LOCKS] = {"dotlock", "fcntl", "flock"};

int32_t
lock_mta(struct inst *i, const struct pm_call *call, const struct place *p, int fd, struct held *h)
{
	struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	int e = 0;
	unsigned k;

	if (h->asked_ms == 0)
		h->asked_ms = mbox_now(i);
	for (k = 0; k < i->n_order && e == 0; k++)
		e = take(i, i->order[k], p, fd, h);
	if (e == 0) {
		h->asked_ms = 0;
		return PM_OK;
	}
	unlock_mta(h, fd);
	if (e == EAGAIN && mbox_now(i) - h->asked_ms < i->lock_wait_ms && !call->cancelled(call)) {
		(void)nanosleep(&pause, NULL);
		return PM_AGAIN;
	}
	h->asked_ms = 0;
	if (e == EAGAIN)
		sdk_error(call, "'%s' is locked by another program (%s) for longer than lock_wait", p->path, names[i->order[k - 1]]);
	else
		sdk_error(call, "cannot lock '%s' by %s: %s%s", p->path, names[i->order[k - 1]], strerrordesc_np(e),
			  i->order[k - 1] == MTA_DOTLOCK ? "; the server needs to write to its directory" : "");
	return PM_TEMP;
}

void
lock_keep(struct inst *i, struct held *h)
{
	if (!h->dot || mbox_now(i) - h->touched_ms < TOUCH_MS)
		return;
	h->touched_ms = mbox_now(i);
	(void)utimensat(h->dir, h->name, NULL, AT_SYMLINK_NOFOLLOW); /* once more in half a minute */
}

void
unlock_mta(struct held *h, int fd)
{
	struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (h->flock)
		(void)flock(fd, LOCK_UN);
	if (h->fcntl)
		(void)fcntl(fd, F_OFD_SETLK, &fl);
	if (h->dot) {
		(void)unlinkat(h->dir, h->name, 0);
		(void)close(h->dir);
	}
	h->flock = h->fcntl = h->dot = false;
}
