/* SPDX-License-Identifier: Apache-2.0 */
/* Where a mailbox is, and opening it: beneath the fixed part of the template, following no link
 * (sdk/path.h). */
#include "location.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lock.h"
#include "mbox.h"
#include "path.h"
#include "say.h"

#define NFS_MAGIC 0x6969

int32_t
location_code(int e)
{
	return e == ENOSPC || e == EDQUOT  ? PM_NOSPACE
	       : e == EACCES || e == EROFS ? PM_PERM
					   : PM_TEMP;
}

static bool
set_key(struct location *p)
{
	if (EVP_Digest(p->path, strlen(p->path), p->sum, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (int k = 0; k < KEY_N / 2; k++)
		snprintf(p->key + 2 * k, 3, "%02x", p->sum[k]);
	return true;
}

int32_t
location_make(struct inst *i, const struct pm_call *call, const struct pm_user *u,
	      struct location *ret)
{
	int32_t rc = sdk_path_make(i->pattern, call, u, ret->path, sizeof(ret->path));

	return rc == PM_OK && !set_key(ret) ? PM_NOMEM : rc;
}

bool
location_of_path(const char *path, struct location *ret)
{
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	return set_key(ret);
}

struct sdk_box
location_box(const struct location *p)
{
	struct sdk_box b;

	memcpy(b.word, p->sum, sizeof(b.word));
	return b;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Makes the directories that a new mailbox is in. */
static void
location_make_dirs(int root, const char *rel)
{
	char part[PM_PATH_MAX + 1];

	for (const char *slash = strchr(rel, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - rel), rel);
		/* it exists, or the open below reports the failure */
		(void)mkdirat(root, part, 0700);
	}
}

/* fsync of the first n bytes of a path below root; of root itself for 0. */
static int
sync_dir(int root, const char *rel, size_t n)
{
	char part[PM_PATH_MAX + 1];
	int fd, e;

	snprintf(part, sizeof(part), "%.*s", n > 0 ? (int)n : 1, n > 0 ? rel : ".");
	fd = sdk_open_beneath(root, part, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1) /* we made none that we cannot read */
		return errno == EACCES ? 0 : errno;
	/* some file systems have nothing to sync there */
	e = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
	(void)close(fd);
	return e;
}

int
location_sync(const struct inst *i, const struct location *p)
{
	const char *base, *rel = sdk_path_below(p->path, i->prefix, &base);
	int root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), e = root == -1 ? errno : 0;

	if (e == 0)
		e = sync_dir(root, rel, 0);
	for (const char *slash = strchr(rel, '/'); e == 0 && slash; slash = strchr(slash + 1, '/'))
		e = sync_dir(root, rel, (size_t)(slash - rel));
	if (root != -1)
		(void)close(root);
	return e;
}

static int32_t
check_file(const struct pm_call *call, const struct location *p, int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) != 0) {
		sdk_error(call, "'%s': %s", p->path, strerrordesc_np(errno));
		return PM_TEMP;
	}
	if (!S_ISREG(st.st_mode)) {
		sdk_error(call, "'%s' is not a regular file", p->path);
		return PM_PERM;
	}
	if (fstatfs(fd, &fs) == 0 && fs.f_type == NFS_MAGIC) {
		sdk_error(call, "'%s' is on NFS: its locks cannot be trusted; use maildir there",
			  p->path);
		return PM_PERM;
	}
	return PM_OK;
}

static int
location_open_file(int root, const char *rel, bool create)
{
	int fd = sdk_open_beneath(root, rel, O_RDWR | O_NONBLOCK, 0);

	if (fd == -1 && errno == EROFS)
		fd = sdk_open_beneath(root, rel, O_RDONLY | O_NONBLOCK, 0);
	if (fd != -1 || errno != ENOENT || !create)
		return fd;
	location_make_dirs(root, rel);
	return sdk_open_beneath(root, rel, O_RDWR | O_NONBLOCK | O_CREAT, 0600);
}

/* Opens the file, RDWR, or RDONLY on a read-only disk; makes it when `create`. PM_OK with -1: there
 * is none. */
static int32_t
location_open(struct inst *i, const struct pm_call *call, const struct location *p, bool create,
	      int *ret_fd)
{
	const char *base, *rel = sdk_path_below(p->path, i->prefix, &base);
	int root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, e;
	int32_t rc;

	*ret_fd = -1;
	if (root == -1) {
		sdk_error(call, "'%s' is not there: %s; is its volume mounted?", base,
			  strerrordesc_np(errno));
		return PM_DOWN;
	}
	fd = location_open_file(root, rel, create);
	e = errno;
	(void)close(root);
	if (fd == -1 && e == ENOENT && !create)
		return PM_OK;
	if (fd == -1) {
		sdk_error(call, "cannot open '%s': %s", p->path, strerrordesc_np(e));
		return e == ENOSPC || e == EDQUOT                              ? PM_NOSPACE
		       : e == EMFILE || e == ENFILE || e == ENOMEM || e == EIO ? PM_TEMP
									       : PM_PERM;
	}
	rc = check_file(call, p, fd);
	if (rc != PM_OK) {
		(void)close(fd);
		return rc;
	}
	*ret_fd = fd;
	return PM_OK;
}

/* True if the name still leads to this file. Another program may have put a new one in its place.
 */
static int32_t
is_current(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	   bool *ret_same)
{
	struct stat mine, now;
	int other;
	int32_t rc = location_open(i, call, p, false, &other);

	if (rc != PM_OK)
		return rc;
	*ret_same = other != -1 && fstat(other, &now) == 0 && fstat(fd, &mine) == 0 &&
		    now.st_ino == mine.st_ino && now.st_dev == mine.st_dev;
	if (other != -1)
		(void)close(other);
	return PM_OK;
}

int32_t
location_lock(struct inst *i, const struct pm_call *call, const struct location *p, bool create,
	      int *fd, struct held *h)
{
	bool same = false;
	int32_t rc = PM_OK;

	if (h->all)
		return PM_OK;
	while (!same) {
		if (*fd == -1)
			rc = location_open(i, call, p, create, fd);
		if (rc == PM_OK && *fd != -1)
			rc = lock_mta(i, call, p, *fd, h);
		if (rc != PM_OK || *fd == -1)
			return rc;
		rc = is_current(i, call, p, *fd, &same);
		if (rc == PM_OK && same)
			break;
		lock_release(h, *fd);
		if (rc != PM_OK)
			return rc;
		(void)close(*fd);
		*fd = -1;
	}
	return PM_OK;
}
