/* SPDX-License-Identifier: Apache-2.0 */
/* Unlinking files. A file is unlinked because it is the one that was listed, by its base name and
 * inode, wherever other readers renamed it, or because it holds the same, compared just before. Any
 * other file of that name is another message. */
#include "remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dir.h"
#include "expire.h"
#include "find.h"
#include "ledger_file.h"
#include "maildir.h"
#include "name.h"
#include "same.h"
#include "say.h"
#include "size.h"
#include "snap.h"

/* ---- one message ----------------------------------------------------------------------------- */

/* 0, or an errno: the file cannot be unlinked. ENOENT, after several looks: it is gone, or was
 * renamed faster than that. */
static int
remove_one(struct mbox *m, struct item *it)
{
	char path[300];
	int e;

	for (int tries = 0; tries < RELOCATE_TRIES; tries++) {
		struct stat st;

		name_path(m->snap, it, path, sizeof(path));
		if (fstatat(m->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			if (errno != ENOENT)
				return errno;
		} else if (S_ISREG(st.st_mode) && (it->ino == 0 || it->ino == st.st_ino)) {
			if (it->octets == UNKNOWN_OCTETS || it->unproven)
				/* maildirsize has to be told how much goes */
				it->stored = (uint64_t)st.st_size;
			if (unlinkat(m->fd, path, 0) == 0)
				return 0;
			if (errno != ENOENT)
				return errno;
		}
		e = find_again(m->fd, m->snap, it);
		if (e)
			return e;
	}
	return ENOENT;
}

/* Unlinks the other files of the message in one directory that are proven to be the same.
 * *ret_gone: one was unlinked. 0 or an errno. */
static int
remove_same(int fd, const char *dir, const char *base, size_t n, int listed, const struct stat *st,
	    bool *ret_gone)
{
	int dfd = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), e = 0;
	DIR *d = dfd != -1 ? fdopendir(dfd) : NULL;
	struct dirent *x;

	if (!d) {
		e = errno;
		if (dfd != -1)
			(void)close(dfd);
		return e == ENOENT ? 0 : e;
	}
	while ((x = readdir(d)) != NULL) {
		if (name_base_length(x->d_name) != n || memcmp(x->d_name, base, n) != 0 ||
		    !same_message(listed, st, dfd, x->d_name))
			continue;
		if (unlinkat(dfd, x->d_name, 0) == 0 || errno == ENOENT)
			*ret_gone = true; /* or was renamed: look again */
		else
			e = errno;
	}
	closedir(d);
	return e;
}

/* Crashes of other programs leave a message in both new and cur; so do backups that were copied in.
 */
static int
remove_twins(struct mbox *m, const struct item *it, int listed, const struct stat *st)
{
	const char *base = m->snap->names + it->name;
	bool gone = true;
	int e = 0;

	for (int look = 0; look < RELOCATE_TRIES && gone && e == 0; look++) {
		gone = false;
		e = remove_same(m->fd, "cur", base, it->base_n, listed, st, &gone);
		if (e == 0)
			e = remove_same(m->fd, "new", base, it->base_n, listed, st, &gone);
	}
	return e;
}

/* Opens the file that was listed, if it can be read. False: it is not where it was. */
static bool
hold_listed(struct mbox *m, struct item *it, int *ret_fd, struct stat *ret)
{
	char path[300];

	name_path(m->snap, it, path, sizeof(path));
	if (faccessat(m->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
	    find_again(m->fd, m->snap, it) == 0)
		name_path(m->snap, it, path, sizeof(path));
	*ret_fd = openat(m->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return (*ret_fd != -1 ? fstat(*ret_fd, ret)
			      : fstatat(m->fd, path, ret, AT_SYMLINK_NOFOLLOW)) == 0 &&
	       (it->ino == 0 || it->ino == ret->st_ino);
}

int
remove_item(struct mbox *m, struct item *it)
{
	struct stat st;
	int listed = -1, e;
	bool sure = it->twins && hold_listed(m, it, &listed, &st);

	e = remove_one(m, it);
	if (e == 0 && sure)
		e = remove_twins(m, it, listed, &st);
	else if (e == 0 && it->twins)
		m->commit_unseen = true;
	if (listed != -1)
		(void)close(listed);
	return e;
}

/* ---- hidden, and over ------------------------------------------------------------------------ */

#define PURGE_MAX 500 /* files removed by one open */

/* Writes down that these messages are gone, so that a later file of such a name is not taken for
 * them. Without these lines nothing is wrong yet. */
static void
tell_gone(struct mbox *m, struct ledger_out *o, uint64_t n, int64_t now)
{
	int e;

	ledger_put_commit(o, LEDGER_NO_OP, n, now);
	ledger_put_done(o, LEDGER_NO_OP);
	e = o->failed ? ENOMEM : ledger_append(m->fd, LEDGER_FILE, o->text, o->n, false);
	if (e == 0)
		m->snap->ledger_lines += o->lines;
	else
		dir_log(m->inst, m->fd, PM_LOG_WARNING,
			"the ledger could not be told of messages that went: %s",
			strerrordesc_np(e));
}

void
remove_hidden(struct mbox *m)
{
	int64_t now = sdk_expire_ms(m->inst->host), octets = 0, n = 0;
	struct snap *s = m->snap;
	struct item *list = s->with_hidden ? s->items : s->hidden;
	size_t count = s->with_hidden ? s->n : s->hidden_n, out = 0;
	struct ledger_out o = {0};
	uint64_t told = 0;
	bool may = m->flags & PM_OPEN_EXCLUSIVE;
	bool shown = !s->with_hidden || (!may && (m->flags & PM_OPEN_OVER));

	m->opened_ms = now;
	for (size_t k = 0; k < count; k++) {
		struct item *it = &list[k];
		bool over = it->hidden_ms != 0 && it->hidden_ms <= now;
		int e = over && may && n < PURGE_MAX ? remove_item(m, it) : EAGAIN;

		if (e == 0) {
			char buf[IDENTITY_CAP];
			size_t id_n;
			const char *identity = name_identity(s, it, buf, &id_n);

			ledger_put_delete(&o, LEDGER_NO_OP, identity, id_n);
			told++;
		}
		if (e == 0 || e == ENOENT) {
			octets += (int64_t)it->stored;
			n++;
		} else if (!over || shown) {
			/* the next opener tries again; until then nobody sees the message */
			list[out++] = *it;
		}
	}
	*(s->with_hidden ? &s->n : &s->hidden_n) = out;
	if (n > 0) {
		(void)dir_sync(m->inst, m->fd);
		size_add(m->fd, -octets, -n);
		s->settled = false; /* the snapshot no longer matches the directories */
		dir_log(m->inst, m->fd, PM_LOG_DEBUG,
			"%lld messages whose undo time is over were removed", (long long)n);
	}
	if (told > 0)
		tell_gone(m, &o, told, now);
	ledger_out_free(&o);
}
