/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dotlocks. They hold "pid:host", as Dovecot's do, and ours appear with that text in them.
 *
 * When is one that is there a dead process' lock?
 *
 * - If it is ours: at once. We have our turn, which every process of ours has while it holds a
 *   dotlock. A mark in the file of turns tells which lock is ours: made before the name, cleared
 *   after it.
 * - If another program made it: when no process of that number is on this machine, in whatever PID
 *   namespace. Only the first namespace of a machine that shows all processes can tell; containers
 *   that share a spool and a hostname number their processes alike.
 * - Otherwise when nobody has touched it for ten minutes.
 *
 * Files are told apart by device and inode with a descriptor open, so that no new file gets the
 * same number.
 */
#include "dotlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "path.h"
#include "say.h"

#define TOUCH_MS 30000 /* other programs break a dotlock that nobody touched for some minutes */
#define STALE_S 600    /* we do so, too */
#define FIRST_NAMESPACE 0xEFFFFFFCu /* the kernel's number of the PID namespace of the machine */

/* ---- the mark of ours ------------------------------------------------------------------------ */

struct mark {
	uint64_t key, dev, ino, pid;
};

/* Many mailboxes share a file of turns, few a place in it; the last one of these is marked. */
static off_t
mark_at(const struct location *p)
{
	return (off_t)(p->sum[10] * sizeof(struct mark));
}

static uint64_t
mark_key(const struct location *p)
{
	uint64_t key;

	memcpy(&key, p->sum + 12, sizeof(key));
	return key;
}

/* Without it a lock that we leave behind goes by its process or its age. */
static void
mark_put(const struct location *p, const struct held *h, const struct stat *st)
{
	struct mark k = {mark_key(p), st->st_dev, st->st_ino, (uint64_t)getpid()};

	if (pwrite(h->turn_fd, &k, sizeof(k), mark_at(p)) != (ssize_t)sizeof(k))
		errno = 0;
}

static void
mark_clear(const struct location *p, const struct held *h)
{
	struct mark k = {0};

	if (pwrite(h->turn_fd, &k, sizeof(k), mark_at(p)) != (ssize_t)sizeof(k))
		errno = 0;
}

/* True if this lock was made by a process of ours, with this number. */
static bool
mark_is(const struct location *p, const struct held *h, const struct stat *st, long pid)
{
	struct mark k;

	return pread(h->turn_fd, &k, sizeof(k), mark_at(p)) == (ssize_t)sizeof(k) &&
	       k.key == mark_key(p) && k.dev == st->st_dev && k.ino == st->st_ino &&
	       k.pid == (uint64_t)pid;
}

/* ---- dead processes' ------------------------------------------------------------------------- */

/* kill(2) sees processes of other users as well, whatever /proc shows. */
static bool
process_gone(long pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd != -1)
		(void)close(fd);
	return fd == -1 && errno == ESRCH;
}

/* True if the process has this number in its own namespace, or it cannot be told. */
static bool
is_numbered(int proc, const char *name, long pid)
{
	char path[300], line[256];
	bool is = false;
	FILE *f = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/status", name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return errno != ENOENT && errno != ESRCH; /* it ended meanwhile */
	f = fdopen(fd, "r");
	if (!f) {
		(void)close(fd);
		return true;
	}
	while (!is && fgets(line, sizeof(line), f)) {
		char *at = line + 6, *end;

		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		for (long v = strtol(at, &end, 10); !is && end > at; v = strtol(at, &end, 10)) {
			is = v == pid;
			at = end;
		}
		break;
	}
	(void)fclose(f);
	return is;
}

/* True if no process of the machine has this number in any PID namespace, as far as that can be
 * told. Process 1 is another user's: whoever sees it sees all. */
static bool
gone_everywhere(long pid)
{
	struct stat st;
	struct dirent *e;
	bool gone;
	DIR *d;

	if (stat("/proc/self/ns/pid", &st) != 0 || st.st_ino != FIRST_NAMESPACE ||
	    stat("/proc/1", &st) != 0 || !process_gone(pid))
		return false;
	d = opendir("/proc");
	gone = d != NULL;
	while (gone && (e = readdir(d)) != NULL)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			gone = !is_numbered(dirfd(d), e->d_name, pid);
	if (d)
		closedir(d);
	return gone;
}

/* True if its process is gone. fd: the lock, readable or not. */
static bool
owner_gone(const struct inst *i, const struct location *p, const struct held *h, int fd)
{
	char text[128] = "", *host;
	struct stat st;
	long pid;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || fstat(fd, &st) != 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	pid = strtol(text, &host, 10);
	if (pid <= 0 || *host != ':' || strcmp(host + 1, i->hostname) != 0)
		return false;
	return mark_is(p, h, &st, pid) || gone_everywhere(pid);
}

/* True if the name leads to this file. */
static bool
is_file(int dir, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino;
}

/*
 * Moves a stale lock away; a new one that took its place, or one that is touched after all, is put
 * back. We have our turn,
 * so no other session of ours is here, and the name is the same each time. A process killed in
 * between leaves a file that is not a mailbox in any list (path.h: no leading dot), and goes with
 * the next stale lock.
 */
static void
break_this(struct inst *i, const struct location *p, const struct held *h, int fd)
{
	char away[sizeof(h->name) + 8];
	struct stat st, now;

	if (fstat(fd, &st) != 0 ||
	    (time(NULL) - st.st_mtime <= STALE_S && !owner_gone(i, p, h, fd)))
		return;
	snprintf(away, sizeof(away), ".%s.old", h->name);
	if (!is_file(h->dir, h->name, &st) || renameat(h->dir, h->name, h->dir, away) != 0)
		return;
	if (!is_file(h->dir, away, &st) || fstat(fd, &now) != 0 ||
	    now.st_mtim.tv_sec != st.st_mtim.tv_sec || now.st_mtim.tv_nsec != st.st_mtim.tv_nsec) {
		(void)renameat2(h->dir, away, h->dir, h->name,
				RENAME_NOREPLACE); /* otherwise a third process has it */
		return;
	}
	(void)unlinkat(h->dir, away, 0);
	sdk_count(i->host, "dotlocks_broken", 1);
	sdk_log(i->host, PM_LOG_WARNING,
		"'%s.lock' was %lld s old and its owner is gone: it was removed", p->path,
		(long long)(time(NULL) - st.st_mtime));
}

static void
break_dotlock(struct inst *i, const struct location *p, const struct held *h)
{
	int fd = openat(h->dir, h->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1) /* it goes by its age, unless it went by itself */
		fd = openat(h->dir, h->name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return;
	break_this(i, p, h, fd);
	(void)close(fd);
}

/* ---- making one ------------------------------------------------------------------------------ */

/* Opens the directory of the lock, and makes its name. 0 or an errno. */
static int
lock_open_dir(struct inst *i, const struct location *p, struct held *h)
{
	const char *root, *rel = sdk_path_below(p->path, i->prefix, &root),
			  *slash = strrchr(rel, '/');
	char dir[PM_PATH_MAX + 1] = ".";
	int base, e;

	if (snprintf(h->name, sizeof(h->name), "%s.lock", slash ? slash + 1 : rel) >=
	    (int)sizeof(h->name))
		return ENAMETOOLONG;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - rel), rel);
	base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	h->dir = base != -1 ? sdk_open_beneath(base, dir, O_RDONLY | O_DIRECTORY, 0) : -1;
	e = errno;
	if (base != -1)
		(void)close(base);
	return h->dir == -1 ? e : 0;
}

static void
write_owner(struct inst *i, int fd)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "%d:%s\n", (int)getpid(), i->hostname);

	if (write(fd, text, (size_t)n) != n)
		errno = 0; /* an empty file locks as well, which helps on a full disk */
}

/* Opens a file that gets its name after it is written. -1: there is a lock (EEXIST), or this is not
 * possible here, without O_TMPFILE or /proc. */
static int
name_written(struct inst *i, const struct location *p, struct held *h)
{
	int fd = openat(h->dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644), e;
	struct stat st;
	char self[32];

	if (fd == -1)
		return -1;
	write_owner(i, fd);
	if (fstat(fd, &st) == 0)
		mark_put(p, h, &st);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, h->dir, h->name, AT_SYMLINK_FOLLOW) == 0)
		return fd;
	e = errno;
	(void)close(fd);
	errno = e;
	return -1;
}

static int
make_dotlock(struct inst *i, const struct location *p, struct held *h)
{
	struct stat st;
	int fd;

	if (fstatat(h->dir, h->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	fd = name_written(i, p, h);
	if (fd != -1 || errno == EEXIST)
		return fd;
	fd = openat(h->dir, h->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd != -1) {
		write_owner(i, fd);
		if (fstat(fd, &st) == 0)
			mark_put(p, h, &st);
	}
	return fd;
}

int
dotlock_take(struct inst *i, const struct location *p, struct held *h)
{
	int e = lock_open_dir(i, p, h);

	if (e != 0)
		return e;
	h->dot_fd = make_dotlock(i, p, h);
	e = errno;
	if (h->dot_fd == -1) {
		if (e == EEXIST)
			break_dotlock(i, p, h); /* the next try may get it */
		(void)close(h->dir);
		return e == EEXIST ? EAGAIN : e;
	}
	h->dot = true;
	h->dot_place = p;
	h->touched_ms = mbox_now(i);
	return 0;
}

void
dotlock_keep(struct inst *i, struct held *h)
{
	if (mbox_now(i) - h->touched_ms < TOUCH_MS)
		return;
	h->touched_ms = mbox_now(i);
	(void)futimens(h->dot_fd, NULL); /* once more in half a minute */
}

void
dotlock_drop(struct held *h)
{
	struct stat st;

	/* somebody may have taken us for dead, and made one of his own */
	if (fstat(h->dot_fd, &st) == 0 && is_file(h->dir, h->name, &st))
		(void)unlinkat(h->dir, h->name, 0);
	mark_clear(h->dot_place, h);
	(void)close(h->dot_fd);
	(void)close(h->dir);
	h->dot = false;
}
