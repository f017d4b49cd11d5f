/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes without a session: totals, list, removal. */
#include "list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "index.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "path.h"
#include "path_list.h"
#include "say.h"
#include "snap.h"
#include "totals.h"

/* The call that counts. */
struct asking {
	struct inst *inst;
	const struct pm_call *call;
	const struct pm_user *user;
	const struct location *place;
};

void
list_count_free(void *work)
{
	box_close(work, NULL);
}

static struct sdk_look
list_look(void *ctx)
{
	const struct asking *a = ctx;

	return names_look(a->inst, a->place);
}

/* Counts everything in one call: the MTA's locks are not kept from slice to slice for a caller that
 * may never come back. The index is read, and the mail that came since. */
static int32_t
list_count_slice(void *ctx, void **work, struct pm_stat *ret)
{
	const struct asking *a = ctx;
	uint64_t n;
	struct mbox *m;
	int32_t rc;

	while ((rc = box_open(a->inst, a->call, a->user, PM_OPEN_READONLY | BOX_OPEN_COUNT, &n,
			      work)) == PM_AGAIN)
		;
	if (rc != PM_OK) {
		*work = NULL;
		return rc;
	}
	m = *work;
	if (m->fd == -1)
		return PM_NOENT;
	for (size_t k = 0; k < m->snap.n; k++) {
		const struct item *it = &m->snap.items[k];
		bool hidden = it->hidden_ms != 0;

		if (it->internal)
			continue;
		*(hidden ? &ret->hidden : &ret->count) += 1;
		*(hidden ? &ret->hidden_octets : &ret->octets) += it->octets;
	}
	ret->last_delivery_ms = (int64_t)m->snap.st.st_mtim.tv_sec * 1000;
	return PM_OK;
}

/* The name of a delivery is where the file ended before it. */
static bool
list_saw(void *work, const char *name)
{
	const struct mbox *m = work;

	return strtoull(name, NULL, 10) < (uint64_t)m->snap.st.st_size;
}

int32_t
list_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret)
{
	struct location place;
	struct asking a = {inst, call, user, &place};
	struct sdk_count how = {&a, list_look, list_count_slice, list_saw,
				(call->flags & PM_CALLF_RECOUNT) != 0};
	struct pm_stat s = {.size = ret->size};
	struct sdk_box box;
	int32_t rc = location_make(a.inst, call, user, &place);

	if (rc != PM_OK)
		return rc;
	if (how.anew)
		index_drop(a.inst, &place); /* without this cache the file is read again */
	box = location_box(&place);
	rc = sdk_totals_ask(a.inst->totals, &box, &how, &s);
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
	size_t n = strlen(name);
	struct stat st;

	if (n > 5 && strcmp(name + n - 5, ".lock") == 0)
		return 0; /* a dotlock */
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	return S_ISREG(st.st_mode);
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

static void
list_forget(const struct inst *i, const struct location *p)
{
	char name[KEY_N + 8];

	snprintf(name, sizeof(name), "%s.append", p->key);
	(void)unlinkat(i->journal_dir, name, 0);
	(void)unlinkat(i->journal_dir, p->key, 0);
	index_drop(i, p);
	(void)unlinkat(i->ledger_dir, p->key, 0);
}

static int32_t
remove_file(struct inst *i, const struct pm_call *call, const struct location *p, int fd)
{
	const char *base, *rel = sdk_path_below(p->path, i->prefix, &base),
			  *slash = strrchr(rel, '/');
	char dir[PM_PATH_MAX + 1] = ".";
	int root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), at, e = 0;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - rel), rel);
	at = root != -1 ? sdk_open_beneath(root, dir, O_RDONLY | O_DIRECTORY, 0) : -1;
	/* a program that has it open and waits for its lock finds it empty */
	if (at == -1 || unlinkat(at, slash ? slash + 1 : rel, 0) != 0)
		e = errno;
	else if (ftruncate(fd, 0) != 0)
		e = 0; /* the file has no name any more */
	if (e == 0)
		list_forget(i, p);
	if (at != -1)
		(void)close(at);
	if (root != -1)
		(void)close(root);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "cannot remove '%s': %s", p->path, strerrordesc_np(e));
	return location_code(e);
}

int32_t
list_delete(void *inst, const struct pm_call *call, const struct pm_user *user)
{
	struct inst *i = inst;
	struct location p;
	struct held h = {0};
	int session = -1, fd = -1;
	int32_t rc = location_make(i, call, user, &p);

	if (rc == PM_OK)
		rc = lock_session(i, call, &p, &session);
	if (rc != PM_OK)
		return rc;
	while ((rc = location_lock(i, call, &p, false, &fd, &h)) == PM_AGAIN)
		;
	if (rc == PM_OK)
		rc = fd == -1 ? PM_NOENT : remove_file(i, call, &p, fd);
	lock_release(&h, fd);
	if (fd != -1)
		(void)close(fd);
	(void)close(session);
	return rc;
}
