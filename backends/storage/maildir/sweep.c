/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delivery whose process is killed, ours or another program's, leaves its file in tmp/. By the
 * convention of maildirs such a file is nobody's after 36 hours. It is not removed while an import
 * has its lock, since that one is about to move its file.
 *
 * Both dates of a file count, the later one: the date of its content may have been copied from
 * elsewhere. When it was last read says nothing, since backups read, too. A clock that is set ahead
 * makes young files look old: then the delivery of one fails for now, and its sender tries again.
 */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"
#include "lock.h"
#include "snap.h"

#define OLD_MS (36 * INT64_C(3600000))
#define AGAIN_MS INT64_C(3600000)
#define SWEEP_MAX 500 /* files removed by one session */

static int64_t
sweep_ms(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
is_left(int dfd, const char *name, int64_t now)
{
	struct stat st;
	int64_t changed, written;

	/* names with a dot are the file system's own, or hidden on purpose */
	if (name[0] == '.' || fstatat(dfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	changed = sweep_ms(st.st_ctim);
	written = sweep_ms(st.st_mtim);
	return now - (changed > written ? changed : written) >= OLD_MS;
}

/* Removes what is left, and returns how many files that were. */
static unsigned
sweep_dir(const struct mbox *m, DIR *d)
{
	const struct inst *i = m->inst;
	int64_t now = i->host->wall_ms(i->host->ctx), until = maildir_now(i) + SLICE_MS;
	unsigned gone = 0, looks = 0;
	struct lock lock = {-1, -1};
	struct dirent *x;

	while (gone < SWEEP_MAX && (x = readdir(d)) != NULL) {
		if (++looks % 64 == 0 && maildir_now(i) >= until)
			break;
		if (!is_left(dirfd(d), x->d_name, now))
			continue;
		if (lock.dir == -1 && lock_imports(i, m->fd, &lock) != 0)
			break;
		gone += unlinkat(dirfd(d), x->d_name, 0) == 0;
	}
	lock_release(&lock);
	return gone;
}

static void
sweep_look(struct mbox *m)
{
	int dfd = openat(m->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = dfd != -1 ? fdopendir(dfd) : NULL;
	unsigned gone = d ? sweep_dir(m, d) : 0;

	if (d)
		closedir(d);
	else if (dfd != -1)
		(void)close(dfd);
	if (gone > 0)
		dir_log(m->inst, m->fd, PM_LOG_NOTICE,
			"%u file%s that a delivery left in tmp/ more than 36 hours ago %s removed",
			gone, gone == 1 ? "" : "s", gone == 1 ? "was" : "were");
}

void
sweep_tmp(struct mbox *m)
{
	int64_t now = maildir_now(m->inst);

	if (m->snap->swept_ms != 0 && now - m->snap->swept_ms < AGAIN_MS)
		return;
	m->snap->swept_ms = now;
	sweep_look(m);
}
