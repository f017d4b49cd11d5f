/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's lock is flock(2) on the maildir itself, that of an import flock(2) on its tmp/. Both
 * exclude threads of this process, too, end with it, and need neither a file nor space. But NFS,
 * SMB and FUSE keep locks on directories to one host. With lock = file each is followed by flock(2)
 * on a file beside them, which these file systems carry to their server. The lock on the directory
 * comes first all the same: it excludes sections of this host that have the other setting.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <unistd.h>

#include "dir.h"
#include "remote.h"

#define SESSION_FILE "restante-lock"
#define IMPORT_FILE "restante-lock-import"

/* 0 or an errno. NFS wants the file open for writing. */
static int
lock_file(int fd, const char *name, int *ret_file)
{
	int file = openat(fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), e;

	if (file != -1 && flock(file, LOCK_EX | LOCK_NB) == 0) {
		*ret_file = file;
		return 0;
	}
	e = errno;
	if (file != -1)
		(void)close(file);
	return e;
}

int
lock_session(const struct inst *i, int fd, int *ret_file)
{
	*ret_file = -1;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno;
	return i->lock_file ? lock_file(fd, SESSION_FILE, ret_file) : 0;
}

int
lock_imports(const struct inst *i, int fd, struct lock *ret)
{
	int e = 0;

	ret->file = -1;
	ret->dir = openat(fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ret->dir == -1 || flock(ret->dir, LOCK_EX | LOCK_NB) != 0)
		e = errno;
	else if (i->lock_file)
		e = lock_file(fd, IMPORT_FILE, &ret->file);
	if (e)
		lock_release(ret);
	return e;
}

void
lock_release(struct lock *l)
{
	if (l->file != -1)
		(void)close(l->file);
	if (l->dir != -1)
		(void)close(l->dir);
	*l = (struct lock){-1, -1};
}

void
lock_remove(int fd)
{
	(void)unlinkat(fd, SESSION_FILE, 0); /* they may not be there */
	(void)unlinkat(fd, IMPORT_FILE, 0);
}

void
lock_tell_remote(struct inst *i, int fd)
{
	const char *name = i->told_remote ? NULL : sdk_remote_fs(fd);

	if (!name || atomic_exchange(&i->told_remote, true))
		return;
	if (i->lock_file)
		dir_log(i, fd, PM_LOG_NOTICE,
			"it is on %s: lock = file keeps sessions of several hosts apart if all of "
			"them see each other's flock(2) there; mail that another host delivers may "
			"show late (NFS: acdirmax, noac)",
			name);
	else
		dir_log(i, fd, PM_LOG_WARNING,
			"it is on %s: a session's lock may hold for this host alone; serve such "
			"mailboxes by one host, or set lock = file; mail that another host "
			"delivers "
			"may show late (NFS: acdirmax, noac)",
			name);
}
