/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting and reading the files of messages. They are immutable, but editors, restores, full disks
 * and tools of other stores do change them. A count or a read is valid only if the file is the same
 * after it; a size that was wrong is forgotten, so that the next session counts again.
 *
 * A file that cannot be read keeps nobody from the others: its size is a guess, and the log names
 * it.
 */
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"
#include "find.h"
#include "maildir.h"
#include "name.h"
#include "octets.h"
#include "say.h"
#include "snap.h"

#define COUNT_PIECE 65536
#define COUNT_TRIES 3
#define NAMED_MAX 16 /* unreadable files that one session logs */
#define WHY_MAX 400

struct msg {
	struct mbox *mbox;
	uint64_t index;
	int fd;
	uint64_t at;
	struct stat st;          /* when it was opened, or counted */
	struct sdk_octets count; /* of what was read */
};

bool
message_is(const struct msg *g, uint64_t index)
{
	return g && g->index == index;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A failure of the process or of the machine, not of this file. */
static int32_t
open_code(int e)
{
	return e == ENOENT                                 ? PM_GONE
	       : e == EMFILE || e == ENFILE || e == ENOMEM ? PM_NOMEM
							   : PM_TEMP;
}

/* True if there are other messages of this base name. Then a file that was not listed belongs to
 * none of them. */
static bool
shares_name(const struct snap *s, const struct item *it)
{
	size_t same = 0;

	for (size_t k = 0; k < s->n + s->hidden_n; k++) {
		const struct item *x = k < s->n ? &s->items[k] : &s->hidden[k - s->n];

		same += x->base_n == it->base_n &&
			memcmp(s->names + x->name, s->names + it->name, it->base_n) == 0;
	}
	return same > 1 || it->number > 1;
}

/* Opens the file where it was. -1: errno, and *ret_st is not set. */
static int
open_there(struct mbox *m, struct item *it, const char *path, struct stat *ret_st)
{
	int fd = openat(m->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), e;

	if (fd == -1 || fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode) || it->ino == 0 ||
	    it->ino == ret_st->st_ino)
		return fd;
	/* another file: ours may have been renamed; if it is nowhere, this file replaced it, unless
	 * it belongs to another message */
	e = find_again(m->fd, m->snap, it);
	if (e == ENOENT && !shares_name(m->snap, it))
		return fd;
	(void)close(fd);
	errno = e ? e : ENOENT;
	return -1;
}

/* Opens an item's file, and finds it again if another reader renamed it. -1: PM_GONE, PM_NOMEM, or
 * PM_TEMP for this file. */
static int
item_open(struct mbox *m, struct item *it, struct stat *ret_st, char why[WHY_MAX], int32_t *ret_rc)
{
	char path[300];
	int fd = -1, e = 0;

	for (int tries = 0; tries < RELOCATE_TRIES && fd == -1; tries++) {
		name_path(m->snap, it, path, sizeof(path));
		fd = open_there(m, it, path, ret_st);
		e = errno;
		if (fd == -1 && (e != ENOENT || (e = find_again(m->fd, m->snap, it)) != 0))
			break;
	}
	if (fd == -1) {
		*ret_rc = open_code(e);
		snprintf(why, WHY_MAX, "cannot open %s: %s", path, strerrordesc_np(e));
	} else if (fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode)) {
		*ret_rc = PM_TEMP;
		snprintf(why, WHY_MAX, "%s is not a regular file", path);
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static int32_t
count_file(struct mbox *m, const struct item *it, int fd, struct sdk_octets *ret, char why[WHY_MAX])
{
	char *buf = malloc(COUNT_PIECE);
	ssize_t got = 0;
	int e;

	sdk_octets_init(ret);
	while (buf && (got = pread(fd, buf, COUNT_PIECE, (off_t)ret->stored)) > 0)
		sdk_octets_feed(ret, buf, (size_t)got);
	e = errno;
	free(buf);
	if (buf && got == 0)
		return PM_OK;
	snprintf(why, WHY_MAX, "reading %s: %s", m->snap->names + it->name,
		 buf ? strerrordesc_np(e) : "no memory");
	return buf ? PM_TEMP : PM_NOMEM;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void
set_counted(struct mbox *m, struct item *it, const struct sdk_octets *o)
{
	it->octets = sdk_octets_total(o);
	it->stored = o->stored;
	it->unproven = it->guess = it->unread = false;
	it->dirty = m->snap->dirty = true;
}

/* Forgets a size that was wrong, in the ledger too: otherwise the file's name would be believed
 * again. */
static void
forget_size(struct mbox *m, struct item *it)
{
	it->octets = UNKNOWN_OCTETS;
	it->unproven = it->guess = false;
	it->dirty = m->snap->dirty = true;
}

static void
set_unread(struct mbox *m, struct item *it)
{
	struct stat st;
	char path[300];

	it->unread = m->guesses = true;
	if (it->octets != UNKNOWN_OCTETS)
		return; /* keep the last size that is known */
	name_path(m->snap, it, path, sizeof(path));
	it->octets = it->stored =
		fstatat(m->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
	it->guess = true;
}

/* Only in sessions, since totals are counted again and again. */
static void
log_unread(struct mbox *m, const char *why)
{
	if (!(m->flags & PM_OPEN_EXCLUSIVE) || m->named == NAMED_MAX)
		return;
	dir_log(m->inst, m->fd, PM_LOG_WARNING,
		"%s; the message stays in the list, and nobody gets it%s", why,
		++m->named == NAMED_MAX ? "; there may be more like it" : "");
}

int32_t
message_count(struct mbox *m, const struct pm_call *call, struct item *it)
{
	struct sdk_octets o;
	struct stat st;
	char why[WHY_MAX];
	int32_t rc = PM_OK;
	int fd = item_open(m, it, &st, why, &rc);

	if (fd != -1) {
		rc = count_file(m, it, fd, &o, why);
		(void)close(fd);
	}
	if (rc == PM_OK) {
		set_counted(m, it, &o);
	} else if (rc == PM_GONE) {
		/* it went after the snapshot: reading it answers PM_GONE, and its size does not
		 * matter */
		it->octets = it->stored = 0;
		it->guess = m->guesses = true;
	} else if (rc == PM_TEMP) {
		if (!it->unread)
			log_unread(m, why);
		set_unread(m, it);
	} else {
		sdk_error(call, "%s", why);
	}
	return rc == PM_GONE || rc == PM_TEMP ? PM_OK : rc;
}

static bool
message_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file that is changing right now has no size. */
int32_t
message_count_open(struct msg *g, const struct pm_call *call)
{
	struct mbox *m = g->mbox;
	struct item *it = &m->snap->items[g->index];
	struct sdk_octets o = {0};
	struct stat before;
	char why[WHY_MAX];
	int32_t rc = PM_OK;

	for (int tries = 0; tries < COUNT_TRIES; tries++) {
		before = g->st;
		rc = count_file(m, it, g->fd, &o, why);
		if (rc != PM_OK || fstat(g->fd, &g->st) != 0)
			break;
		if (message_same_file(&g->st, &before) && o.stored == (uint64_t)g->st.st_size) {
			set_counted(m, it, &o);
			return PM_OK;
		}
		snprintf(why, WHY_MAX, "%s does not stop changing", m->snap->names + it->name);
	}
	sdk_error(call, "%s", why);
	if (rc == PM_NOMEM)
		return rc;
	set_unread(m, it);
	return PM_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The size that was listed may be that of another file. */
static void
compare_size(struct mbox *m, struct item *it, const struct stat *st)
{
	bool known = it->octets != UNKNOWN_OCTETS;

	if (it->guess)
		it->octets = UNKNOWN_OCTETS;
	else if (known && !it->unproven && (uint64_t)st->st_size != it->stored)
		forget_size(m, it);
	it->guess = it->unread = false;
}

int32_t
message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *m = mbox;
	struct item *it;
	struct msg *g;
	char why[WHY_MAX];
	int32_t rc = PM_OK;

	if (index >= m->snap->n)
		return PM_INVALID;
	g = calloc(1, sizeof(*g));
	if (!g)
		return PM_NOMEM;
	it = &m->snap->items[index];
	*g = (struct msg){.mbox = m, .index = index};
	g->fd = item_open(m, it, &g->st, why, &rc);
	if (g->fd == -1) {
		free(g);
		sdk_error(call, "%s", why);
		if (rc == PM_TEMP)
			set_unread(m, it);
		return rc;
	}
	compare_size(m, it, &g->st);
	it->ino = g->st.st_ino; /* a deletion is to remove the file that was served */
	sdk_octets_init(&g->count);
	m->msg = g;
	*ret_msg = g;
	return PM_OK;
}

/* True if this name now belongs to another file. Clients would take that for the message they have.
 */
static bool
message_replaced(const struct msg *g, const struct stat *now)
{
	struct mbox *m = g->mbox;
	struct item *it = &m->snap->items[g->index], any = *it;
	struct stat st;
	char path[300];

	name_path(m->snap, it, path, sizeof(path));
	if (fstatat(m->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == now->st_ino &&
	    st.st_dev == now->st_dev)
		return false;
	if (now->st_nlink > 0 && find_again(m->fd, m->snap, it) == 0)
		return false; /* renamed by another reader */
	any.ino = 0;
	return !shares_name(m->snap, it) && find_again(m->fd, m->snap, &any) == 0;
}

/* True if this was the message that was opened. */
static int32_t
end_of(struct msg *g, const struct pm_call *call)
{
	struct mbox *m = g->mbox;
	struct item *it = &m->snap->items[g->index];
	struct stat now;
	bool same = fstat(g->fd, &now) == 0 && message_same_file(&now, &g->st) &&
		    g->at == (uint64_t)now.st_size;

	if (!same || message_replaced(g, &now)) {
		sdk_error(call, "%s was %s while it was read; the next session counts it anew",
			  m->snap->names + it->name, same ? "replaced" : "changed");
		forget_size(m, it);
		return PM_TEMP;
	}
	if (it->unproven || it->octets != sdk_octets_total(&g->count))
		set_counted(m, it, &g->count); /* for the next session */
	return PM_END;
}

int32_t
message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct msg *g = msg;
	ssize_t got = pread(g->fd, buf, cap, (off_t)g->at);

	if (got < 0) {
		sdk_error(call, "reading %s: %s",
			  g->mbox->snap->names + g->mbox->snap->items[g->index].name,
			  strerrordesc_np(errno));
		/* the next session finds at once that it cannot be read */
		forget_size(g->mbox, &g->mbox->snap->items[g->index]);
		return PM_TEMP; /* the position is kept */
	}
	if (got == 0)
		return end_of(g, call);
	sdk_octets_feed(&g->count, buf, (size_t)got);
	g->at += (uint64_t)got;
	*ret_got = (size_t)got;
	return PM_OK;
}

void
message_close(void *msg, const struct pm_call *call)
{
	struct msg *g = msg;

	(void)call;
	if (g->mbox->msg == g)
		g->mbox->msg = NULL;
	(void)close(g->fd); /* it was only read from */
	free(g);
}
