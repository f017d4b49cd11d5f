/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes from outside: totals, list, removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "conf.h"
#include "maildir.h"
#include "path.h"
#include "path_list.h"

/* ---- totals ---------------------------------------------------------------------------------- */

static int32_t
add_up(struct mbox *m, const struct pm_call *call, struct item *items, size_t n, uint64_t *octets, struct pm_stat *s)
{
	int32_t rc = PM_OK;

	for (size_t k = 0; k < n && rc == PM_OK; k++) {
		struct item *it = &items[k];

		if (it->octets == UNKNOWN_OCTETS)
			rc = box_count_item(m, call, it);
		*octets += it->octets;
		if ((int64_t)it->arrival * 1000 > s->last_delivery_ms)
			s->last_delivery_ms = (int64_t)it->arrival * 1000;
	}
	return rc;
}

/* Reads the directories and the ledger, and messages whose size nobody knows. */
static int32_t
count_box(struct inst *i, const struct pm_call *call, const struct pm_user *user, struct pm_stat *s)
{
	struct mbox *m;
	void *handle = NULL;
	uint64_t count = 0;
	int32_t rc;

	do
		rc = box_open(i, call, user, PM_OPEN_READONLY, &count, &handle);
	while (rc == PM_AGAIN && !call->cancelled(call));
	if (rc == PM_AGAIN) {
		box_close(handle, call);
		return PM_CANCELLED;
	}
	if (rc != PM_OK)
		return rc;
	m = handle;
	rc = m->fd == -1 ? PM_NOENT : add_up(m, call, m->scan->items, m->scan->n, &s->octets, s);
	if (rc == PM_OK)
		rc = add_up(m, call, m->scan->hidden, m->scan->hidden_n, &s->hidden_octets, s);
	s->count = m->scan->n;
	s->hidden = m->scan->hidden_n;
	box_close(m, call);
	return rc;
}

int32_t
maildir_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret)
{
	struct inst *i = inst;
	struct pm_stat s = {.size = ret->size};
	struct sdk_look now;
	int32_t rc;
	int fd;

	rc = maildir_open_dir(i, call, user, false, &fd);
	if (rc != PM_OK || fd == -1)
		return rc != PM_OK ? rc : PM_NOENT;
	now = scan_look(i, fd);
	(void)close(fd);
	if (!sdk_totals_get(i->totals, &now, &s)) {
		rc = count_box(i, call, user, &s);
		if (rc != PM_OK)
			return rc;
		sdk_totals_put(i->totals, &now, &s);
	}
	memcpy(ret, &s, s.size < sizeof(s) ? s.size : sizeof(s));
	return PM_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static bool
is_box(int fd, const char *name)
{
	char path[300];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/cur", name) >= (int)sizeof(path))
		return false;
	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int32_t
maildir_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride, struct pm_box *ret,
	     size_t *ret_got)
{
	const struct inst *i = inst;

	return sdk_path_list(i->pattern, is_box, call, cursor, n, stride, ret, ret_got);
}

/* ---- removal --------------------------------------------------------------------------------- */

/* Files of one directory; others' folders stay. */
static int
empty_dir(int fd, const char *dir)
{
	int dfd = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), e = 0;
	DIR *d = dfd != -1 ? fdopendir(dfd) : NULL;
	struct dirent *x;

	if (!d) {
		if (dfd != -1)
			(void)close(dfd);
		return errno == ENOENT ? 0 : errno;
	}
	while ((x = readdir(d)) != NULL)
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 && unlinkat(dfd, x->d_name, 0) != 0 &&
		    errno != ENOENT)
			e = errno;
	closedir(d);
	return e;
}

/* The maildir itself, when nothing of others is in it. */
static void
remove_dirs(const struct inst *i, const struct pm_call *call, const struct pm_user *user, int fd)
{
	char path[PM_PATH_MAX + 1], dir[PM_PATH_MAX + 1] = ".";
	const char *rel, *base, *slash;
	int root, at;

	(void)unlinkat(fd, "maildirsize", 0); /* they may not be there */
	(void)unlinkat(fd, LEDGER_FILE, 0);
	(void)unlinkat(fd, "tmp", AT_REMOVEDIR);
	(void)unlinkat(fd, "new", AT_REMOVEDIR);
	(void)unlinkat(fd, "cur", AT_REMOVEDIR);
	if (sdk_path_make(i->pattern, call, user, path, sizeof(path)) != PM_OK)
		return;
	rel = sdk_path_below(path, i->prefix, &base);
	slash = strrchr(rel, '/');
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - rel), rel);
	root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	at = root != -1 ? sdk_open_beneath(root, dir, O_RDONLY | O_DIRECTORY, 0) : -1;
	if (at != -1) {
		(void)unlinkat(at, slash ? slash + 1 : rel, AT_REMOVEDIR); /* folders of others may be in it */
		(void)close(at);
	}
	if (root != -1)
		(void)close(root);
}

int32_t
maildir_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	static const char *const dirs[] = {"new", "cur", "tmp"};
	struct inst *i = inst;
	int32_t rc;
	int fd, e = 0;

	rc = maildir_open_dir(i, call, user, false, &fd);
	if (rc != PM_OK)
		return rc;
	if (fd == -1)
		return PM_NOENT;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		(void)close(fd);
		return PM_BUSY;
	}
	for (size_t k = 0; k < 3; k++) {
		int failed = empty_dir(fd, dirs[k]);

		e = failed ? failed : e;
	}
	if (e == 0)
		remove_dirs(i, call, user, fd);
	(void)close(fd);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "not all of its mail could be removed: %s", strerrordesc_np(e));
	return PM_TEMP;
}
