/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a ledger is read whole, appended to under a lock of its own, and rewritten when most
 * of it is of no use. Deliveries append to it beside a session (imported unique-ids), so a writer
 * locks it, checks that it is still the file of that name, and only then writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kill.h"
#include "ledger_file.h"
#include "say.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads an open file to its end. NULL: errno. */
static char *
ledger_file_read_all(int fd, size_t size, size_t *ret_n)
{
	char *text = malloc(size + 1);
	ssize_t got = 1;

	*ret_n = 0;
	while (text && *ret_n < size && got > 0) {
		got = read(fd, text + *ret_n, size - *ret_n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			*ret_n += (size_t)got;
	}
	if (text && got < 0) {
		int e = errno;

		free(text);
		errno = e;
		return NULL;
	}
	return text;
}

struct ledger *
ledger_load(int fd, const char *name, size_t *ret_good, size_t *ret_bad)
{
	int lfd = openat(fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), e = 0;
	struct ledger *l = NULL;
	char *text = NULL;
	struct stat st;
	size_t n = 0;

	*ret_good = *ret_bad = 0;
	if (lfd == -1)
		return errno == ENOENT ? ledger_new() : NULL; /* without memory, errno is ENOMEM */
	if (fstat(lfd, &st) != 0 ||
	    !(text = S_ISREG(st.st_mode) ? ledger_file_read_all(lfd, (size_t)st.st_size, &n)
					 : NULL))
		e = S_ISREG(st.st_mode) ? errno : EBADMSG;
	else if (!(l = ledger_new()) || !ledger_read(l, text, n, ret_good))
		e = ENOMEM;
	else if (ledger_foreign(text, n, *ret_good))
		e = EBADMSG;
	else
		*ret_bad = ledger_bad(l);
	free(text);
	(void)close(lfd);
	if (e == 0)
		return l;
	ledger_free(l);
	errno = e;
	return NULL;
}

int32_t
ledger_load_code(const struct pm_call *call, const char *name, int e)
{
	if (e == ENOMEM)
		return PM_NOMEM;
	if (e == EBADMSG) {
		sdk_error(call,
			  "%s is not ours or of another version; restore it from a backup. Without "
			  "it deleted mail may return and clients may fetch mail again",
			  name);
		return PM_CORRUPT;
	}
	/* the mailbox is never opened without it: unique-ids would change */
	sdk_error(call, "cannot read %s: %s", name, strerrordesc_np(e));
	/* a right that is missing can be given, and then all is as it was; a link is somebody's
	 * mistake, or worse */
	return e == ELOOP ? PM_PERM : PM_TEMP;
}

/* ---- appending ------------------------------------------------------------------------------- */

static int
ledger_file_write_all(int fd, const char *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : ENOSPC;
		p += w;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

/* An OFD lock, which belongs to this descriptor, not to the process; held for one append. */
static int
lock_file(int lfd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int rc;

	do
		rc = fcntl(lfd, F_OFD_SETLKW, &fl);
	while (rc != 0 && errno == EINTR);
	return rc;
}

/* Locks the file through a descriptor of its own; the file may have been replaced meanwhile. */
static int
ledger_file_open_locked(int fd, const char *name, bool *ret_made)
{
	for (int tries = 0; tries < 8; tries++) {
		struct stat mine, theirs;
		int lfd = openat(fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		*ret_made = lfd == -1 && errno == ENOENT;
		if (*ret_made)
			lfd = openat(fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (lfd == -1)
			return -1;
		if (lock_file(lfd) != 0) {
			(void)close(lfd);
			return -1;
		}
		if (fstat(lfd, &mine) == 0 &&
		    fstatat(fd, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
		    mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev)
			return lfd;
		(void)close(lfd);
	}
	errno = EAGAIN;
	return -1;
}

/* Finds the end of the sound records: a torn tail is overwritten. -1: errno. */
static off_t
sound_end(int fd, const char *name, int lfd)
{
	size_t good, bad;
	struct ledger *l;
	struct stat st;
	char last = '\n';

	if (fstat(lfd, &st) != 0)
		return -1;
	if (st.st_size == 0)
		return 0;
	/* the usual case: the last byte is a line's end, and appends are single writes */
	if (pread(lfd, &last, 1, st.st_size - 1) == 1 && last == '\n')
		return st.st_size;
	l = ledger_load(fd, name, &good, &bad);
	ledger_free(l);
	return l ? (off_t)good : -1;
}

/* Syncs the appended lines. If the disk may not keep them nobody may read them meanwhile, so they
 * are taken back. EIO: the outcome is unknown. */
static int
make_durable(int fd, int lfd, bool made, off_t before)
{
	int e = fdatasync(lfd) != 0 || (made && fsync(fd) != 0) ? errno : 0;

	return e == 0 || (ftruncate(lfd, before) == 0 && fdatasync(lfd) == 0) ? e : EIO;
}

int
ledger_append(int fd, const char *name, const char *text, size_t n, bool sync)
{
	struct ledger_out head = {0};
	bool made;
	int lfd = ledger_file_open_locked(fd, name, &made), rc = 0;
	off_t before, end;

	if (lfd == -1)
		return errno;
	before = end = sound_end(fd, name, lfd);
	if (end == -1) {
		rc = errno;
		(void)close(lfd);
		return rc;
	}
	if (end == 0) {
		ledger_put_header(&head);
		rc = head.failed ? ENOMEM : ledger_file_write_all(lfd, head.text, head.n, 0);
		end = (off_t)head.n;
		ledger_out_free(&head);
	}
	if (rc == 0)
		rc = ledger_file_write_all(lfd, text, n, end);
	if (rc != 0 && ftruncate(lfd, before) != 0)
		/* readers ignore the torn tail, and the next append cuts it */
		rc = rc ? rc : errno;
	if (rc == 0 && ftruncate(lfd, end + (off_t)n) != 0)
		rc = errno; /* an old torn tail may have been longer */
	if (rc == 0 && sync)
		rc = make_durable(fd, lfd, made, before);
	(void)close(lfd);
	return rc;
}

/* ---- rewriting ------------------------------------------------------------------------------- */

/* Under the lock: puts the new text, durable, under the old name. */
static void
ledger_file_replace(int fd, const char *name, const struct ledger_out *o, bool sync)
{
	char fresh[LEDGER_NAME_MAX + 8];
	int tfd, rc;

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	tfd = openat(fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (tfd == -1)
		return; /* the old one is as good */
	rc = ledger_file_write_all(tfd, o->text, o->n, 0);
	if (rc == 0 && sync && fsync(tfd) != 0)
		rc = errno;
	(void)close(tfd);
	KILL_POINT("ledger: written anew");
	if (rc != 0 || renameat(fd, fresh, fd, name) != 0)
		(void)unlinkat(fd, fresh, 0);
	else if (sync)
		(void)fsync(fd); /* either ledger is sound after a crash */
}

void
ledger_rewrite(int fd, const char *name, bool sync,
	       bool (*fill)(struct ledger *l, struct ledger_out *o, void *ctx), void *ctx)
{
	struct ledger_out o = {0};
	size_t good, bad;
	bool made;
	int lfd = ledger_file_open_locked(fd, name, &made);
	struct ledger *l = lfd != -1 ? ledger_load(fd, name, &good, &bad) : NULL;

	if (l && !ledger_unfinished(l, NULL)) {
		ledger_put_header(&o);
		if (fill(l, &o, ctx) && !o.failed)
			ledger_file_replace(fd, name, &o, sync);
	}
	ledger_out_free(&o);
	ledger_free(l);
	if (lfd != -1)
		/* a writer that waited for the lock finds another file of this name, and opens that
		 */
		(void)close(lfd);
}
