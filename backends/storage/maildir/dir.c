/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, making and syncing the directories of a maildir, the codes of their failures, and lines
 * of the log that name one. */
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kill.h"
#include "maildir.h"
#include "path.h"
#include "say.h"

int32_t
dir_code(int e)
{
	return e == ENOSPC || e == EDQUOT  ? PM_NOSPACE
	       : e == EACCES || e == EROFS ? PM_PERM
					   : PM_TEMP;
}

void
dir_log(const struct inst *i, int fd, int32_t level, const char *fmt, ...)
{
	char link[64], path[PM_PATH_MAX + 1], text[1024];
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	sdk_log(i->host, level, "maildir %s: %s", path, text);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int
dir_open_beneath(int root, const char *path)
{
	return sdk_open_beneath(root, path, O_RDONLY | O_DIRECTORY, 0);
}

bool
dir_fill(const struct inst *i, int fd)
{
	static const char *const dirs[] = {"cur", "new", "tmp"};

	for (int k = 0; k < 3; k++)
		if (mkdirat(fd, dirs[k], 0700) != 0 && errno != EEXIST)
			return false;
	return !i->fsync || fsync(fd) == 0;
}

/* Makes a directory if it is missing, and its name durable. */
static bool
dir_make_one(const struct inst *i, int root, const char *part)
{
	char parent[PM_PATH_MAX + 8];
	const char *slash = strrchr(part, '/');
	bool ok;
	int fd;

	if (mkdirat(root, part, 0700) != 0)
		return errno == EEXIST;
	if (!i->fsync)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - part) : 1,
		 slash ? part : ".");
	fd = openat(root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	ok = fd != -1 && fsync(fd) == 0;
	if (fd != -1)
		(void)close(fd);
	return ok;
}

/* Makes each missing directory of a relative path, and the three of a maildir. */
static int
dir_make(const struct inst *i, int root, const char *rel)
{
	char part[PM_PATH_MAX + 8];
	int fd;

	for (const char *slash = strchr(rel, '/');; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - rel) : (int)strlen(rel),
			 rel);
		if (*part && !dir_make_one(i, root, part))
			return -1;
		if (!slash)
			break;
	}
	KILL_POINT("maildir: made, and empty");
	fd = dir_open_beneath(root, rel);
	if (fd != -1 && !dir_fill(i, fd)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* PM_PERM only for what somebody has to change: paths and permissions. A file server that is away
 * has many names for it. */
static int32_t
open_code(int e)
{
	switch (e) {
	case EPERM:
	case ELOOP:
	case EXDEV:
	case ENOTDIR:
	case EINVAL:
	case ENAMETOOLONG:
		return PM_PERM;
	default:
		return dir_code(e);
	}
}

int32_t
dir_open_path(struct inst *i, const struct pm_call *call, const char *path, bool create,
	      int *ret_fd)
{
	const char *rel, *base;
	int root, fd, e;

	*ret_fd = -1;
	rel = sdk_path_below(path, i->prefix, &base);
	root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == -1) {
		sdk_error(call, "'%s' is not there: %s; is its volume mounted?", i->prefix,
			  strerrordesc_np(errno));
		return PM_DOWN;
	}
	fd = dir_open_beneath(root, rel);
	e = errno;
	if (fd == -1 && e == ENOENT && create) {
		fd = dir_make(i, root, rel);
		e = errno;
	}
	(void)close(root);
	if (fd == -1 && e == ENOENT)
		return PM_OK; /* nobody delivered to it yet */
	if (fd == -1) {
		sdk_error(call, "cannot open or make the maildir '%s': %s", path,
			  strerrordesc_np(e));
		return open_code(e);
	}
	*ret_fd = fd;
	return PM_OK;
}

int32_t
dir_open(struct inst *i, const struct pm_call *call, const struct pm_user *user, bool create,
	 int *ret_fd)
{
	char path[PM_PATH_MAX + 1];
	int32_t rc = sdk_path_make(i->pattern, call, user, path, sizeof(path));

	*ret_fd = -1;
	return rc == PM_OK ? dir_open_path(i, call, path, create, ret_fd) : rc;
}

/* ---- changing -------------------------------------------------------------------------------- */

/* link(2) and unlink(2) where the file system has no such rename. */
bool
dir_move(int fd, const char *from, const char *to)
{
	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (linkat(fd, from, fd, to, 0) != 0)
		return false;
	/* a name that stays is the same inode, so the same message, or is swept from tmp/ */
	(void)unlinkat(fd, from, 0);
	return true;
}

bool
dir_sync(const struct inst *i, int fd)
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
