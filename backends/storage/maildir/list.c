/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes without a session: totals, list, removal. */
#include "list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "cache.h"
#include "dir.h"
#include "lock.h"
#include "maildir.h"
#include "match.h"
#include "message.h"
#include "path.h"
#include "path_list.h"
#include "say.h"
#include "snap.h"
#include "totals.h"

/* ---- totals ---------------------------------------------------------------------------------- */

/* A count between its slices: the snapshot of a session, and how far it is added up. */
struct count {
	struct mbox *mbox; /* being opened while it has no snapshot */
	bool opened;
	size_t at, hidden_at;
	struct pm_stat sum;
};

/* The call that makes a slice. */
struct asking {
	struct inst *inst;
	const struct pm_call *call;
	const struct pm_user *user;
	int fd;
};

void
list_count_free(void *work)
{
	struct count *c = work;

	if (c->mbox)
		box_close(c->mbox, NULL);
	free(c);
}

static struct sdk_look
list_look(void *ctx)
{
	const struct asking *a = ctx;

	return snap_look(a->inst, a->fd);
}

/* Adds up sizes; messages whose size is not known are read. */
static int32_t
add_up(struct count *c, const struct asking *a, struct item *items, size_t n, size_t *at,
       uint64_t *octets)
{
	int64_t until = maildir_now(a->inst) + SLICE_MS;

	for (; *at < n; ++*at) {
		struct item *it = &items[*at];
		bool counted = it->octets == UNKNOWN_OCTETS;
		int32_t rc = counted ? message_count(c->mbox, a->call, it) : PM_OK;

		if (rc != PM_OK)
			return rc;
		*octets += it->octets;
		if ((int64_t)it->arrival * 1000 > c->sum.last_delivery_ms)
			c->sum.last_delivery_ms = (int64_t)it->arrival * 1000;
		if (counted && maildir_now(a->inst) >= until) {
			++*at;
			return PM_AGAIN;
		}
	}
	return PM_OK;
}

static int32_t
count_open(struct count *c, const struct asking *a)
{
	void *handle = c->mbox;
	uint64_t n;
	int32_t rc = box_open(a->inst, a->call, a->user, PM_OPEN_READONLY, &n, &handle);

	c->mbox = rc == PM_OK || rc == PM_AGAIN ? handle : NULL;
	c->opened = rc == PM_OK;
	return rc == PM_OK && c->mbox->fd == -1 ? PM_NOENT : rc;
}

/* Opens the mailbox, then adds up its messages. */
static int32_t
list_count_slice(void *ctx, void **work, struct pm_stat *ret)
{
	const struct asking *a = ctx;
	struct count *c = *work ? *work : calloc(1, sizeof(*c));
	struct snap *s;
	int32_t rc;

	*work = c;
	if (!c)
		return PM_NOMEM;
	rc = c->opened ? PM_OK : count_open(c, a);
	if (rc != PM_OK)
		return rc;
	s = c->mbox->snap;
	rc = add_up(c, a, s->items, s->n, &c->at, &c->sum.octets);
	if (rc == PM_OK)
		rc = add_up(c, a, s->hidden, s->hidden_n, &c->hidden_at, &c->sum.hidden_octets);
	c->sum.count = s->n;
	c->sum.hidden = s->hidden_n;
	if (rc == PM_OK)
		*ret = c->sum;
	return rc;
}

static bool
list_saw(void *work, const char *name)
{
	const struct count *c = work;

	return match_has(c->mbox->snap, name);
}

/* Drops the snapshot that the next session would take, if the times of the directories did not
 * change. */
static void
forget_snapshot(struct inst *i, int fd)
{
	struct snap now;

	snap_stat(fd, &now);
	snap_free(cache_take(i->cache, &now));
}

int32_t
list_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret)
{
	struct asking a = {.inst = inst, .call = call, .user = user};
	struct sdk_count how = {&a, list_look, list_count_slice, list_saw,
				(call->flags & PM_CALLF_RECOUNT) != 0};
	struct pm_stat s = {.size = ret->size};
	struct sdk_box box;
	int32_t rc = dir_open(a.inst, call, user, false, &a.fd);

	if (rc != PM_OK || a.fd == -1)
		return rc != PM_OK ? rc : PM_NOENT;
	if (how.anew)
		forget_snapshot(a.inst, a.fd);
	box = snap_box(a.fd);
	rc = sdk_totals_ask(a.inst->totals, &box, &how, &s);
	(void)close(a.fd);
	if (rc == PM_OK)
		memcpy(ret, &s, s.size < sizeof(s) ? s.size : sizeof(s));
	return rc;
}

int32_t
list_place(void *inst, const struct pm_call *call, const struct pm_user *user,
	   struct pm_str *ret_place)
{
	return sdk_path_place(((const struct inst *)inst)->pattern, call, user, ret_place);
}

/* ---- list ------------------------------------------------------------------------------------ */

static int
list_is_box(int fd, const char *name)
{
	char path[300];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/cur", name) >= (int)sizeof(path))
		return 0;
	for (const char *at = name;; at = path) {
		if (fstatat(fd, at, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return -1;
		if (!S_ISDIR(st.st_mode))
			return 0;
		if (at == path)
			return 1;
	}
}

int32_t
list_boxes(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
	   struct pm_box *ret, size_t *ret_got)
{
	const struct inst *i = inst;

	return sdk_path_list(i->lists, i->pattern, list_is_box, call, cursor, n, stride, ret,
			     ret_got);
}

/* ---- removal --------------------------------------------------------------------------------- */

/* Removes the files of one directory; folders of other programs stay. */
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
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0 &&
		    unlinkat(dfd, x->d_name, 0) != 0 && errno != ENOENT)
			e = errno;
	closedir(d);
	return e;
}

/* Removes the maildir itself, unless files of other programs are in it. */
static void
remove_dirs(const struct inst *i, const struct pm_call *call, const struct pm_user *user, int fd)
{
	char path[PM_PATH_MAX + 1], dir[PM_PATH_MAX + 1] = ".";
	const char *rel, *base, *slash;
	int root, at;

	(void)unlinkat(fd, "maildirsize", 0); /* they may not be there */
	(void)unlinkat(fd, LEDGER_FILE, 0);
	lock_remove(fd);
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
		/* it stays if it holds folders of other programs */
		(void)unlinkat(at, slash ? slash + 1 : rel, AT_REMOVEDIR);
		(void)close(at);
	}
	if (root != -1)
		(void)close(root);
}

int32_t
list_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	static const char *const dirs[] = {"new", "cur", "tmp"};
	struct inst *i = inst;
	int32_t rc;
	int fd, lock, e = 0;

	rc = dir_open(i, call, user, false, &fd);
	if (rc != PM_OK)
		return rc;
	if (fd == -1)
		return PM_NOENT;
	if (lock_session(i, fd, &lock) != 0) {
		(void)close(fd);
		return PM_BUSY;
	}
	for (size_t k = 0; k < 3; k++) {
		int failed = empty_dir(fd, dirs[k]);

		e = failed ? failed : e;
	}
	if (e == 0)
		remove_dirs(i, call, user, fd);
	if (lock != -1)
		(void)close(lock);
	(void)close(fd);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "not all of its mail could be removed: %s", strerrordesc_np(e));
	return PM_TEMP;
}
