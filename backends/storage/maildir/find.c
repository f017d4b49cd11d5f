/* SPDX-License-Identifier: Apache-2.0 */
/* Finding one message among the files, by its base name and inode, which stay when other readers
 * rename it, or by the unique-id that its name gives. */
#include "find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "match.h"
#include "name.h"
#include "snap.h"

static DIR *
find_open_dir(int fd, const char *dir)
{
	int dfd = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = dfd != -1 ? fdopendir(dfd) : NULL;

	if (!d && dfd != -1) {
		int e = errno;

		(void)close(dfd);
		errno = e;
	}
	return d;
}

/* Whether a directory has a file of this unique-id that the ledger does not know. 0; ENOENT: it has
 * none; another errno: nobody can tell. */
static int
unseen_in(int fd, const char *dir, struct ledger *l, const char *uidl, size_t n)
{
	DIR *d = find_open_dir(fd, dir);
	struct dirent *e;
	bool found = false;
	int failed = d ? 0 : errno;

	while (d && !found && (errno = 0, e = readdir(d)) != NULL) {
		size_t base_n = e->d_name[0] != '.' ? name_base_length(e->d_name) : 0;

		found = base_n > 0 && match_own_uidl(e->d_name, base_n, uidl, n) &&
			!ledger_find(l, e->d_name, base_n);
	}
	if (d && !found)
		failed = errno;
	if (d)
		closedir(d);
	return found ? 0 : failed ? failed : ENOENT;
}

int
find_unseen(int fd, struct ledger *l, const char *uidl, size_t n)
{
	/* in this order, since mail moves from new to cur, never back */
	int e = unseen_in(fd, "new", l, uidl, n);

	return e == ENOENT ? unseen_in(fd, "cur", l, uidl, n) : e;
}

/* Looks for a file in one directory by base name and, unless it is 0, inode. *ret_name gets the
 * whole name. 0; ENOENT: it is not there; another errno: nobody can tell. */
static int
find_in(int fd, const char *dir, const char *base, size_t n, uint64_t ino, char *ret_name,
	size_t cap)
{
	DIR *d = find_open_dir(fd, dir);
	struct dirent *e;
	struct stat st;
	bool found = false;
	int failed = 0;

	if (!d)
		return errno;
	while (!found && (errno = 0, e = readdir(d)) != NULL) {
		if (name_base_length(e->d_name) != n || memcmp(e->d_name, base, n) != 0)
			continue;
		if (ino == 0 || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			found = ino == 0 || st.st_ino == ino;
		else if (errno != ENOENT)
			failed = errno;
		if (found)
			snprintf(ret_name, cap, "%s", e->d_name);
	}
	if (!found && !e && errno != 0)
		failed = errno;
	closedir(d);
	return found ? 0 : failed ? failed : ENOENT;
}

int
find_again(int fd, struct snap *s, struct item *it)
{
	char base[256], name[256];
	uint32_t at;
	bool in_new = false;
	int e = ENOENT;

	snprintf(base, sizeof(base), "%.*s", (int)it->base_n, s->names + it->name);
	/* cur is read again: the file may have come there, or been renamed past readdir, meanwhile
	 */
	for (int look = 0; look < 4 && e == ENOENT; look++) {
		in_new = look % 2 == 1;
		e = find_in(fd, in_new ? "new" : "cur", base, it->base_n, it->ino, name,
			    sizeof(name));
	}
	if (e == 0 && !snap_add_name(s, name, strlen(name), &at))
		e = ENOMEM;
	if (e)
		return e;
	if (it->uidl == it->name)
		it->uidl = at; /* the same base name */
	it->name = at;
	it->in_new = in_new;
	return 0;
}

/* ---- many of them ---------------------------------------------------------------------------- */

#define NAMES_PER_LOOK 512 /* directory entries between two looks at the clock */

/* Mail moves from tmp to new to cur; cur is read twice because another reader may rename a file
 * past readdir. */
static const char *const order[] = {"tmp", "new", "cur", "cur"};
enum { FROM_TMP = 0, FROM_NEW = 1, PAST_CUR = 4 };

void
find_begin(struct find *f, int fd, struct snap *s)
{
	*f = (struct find){.fd = fd, .s = s, .at = FROM_NEW};
}

void
find_end(struct find *f)
{
	if (f->dir)
		closedir(f->dir);
	f->dir = NULL;
}

/* Reads one directory on. PM_AGAIN; PM_OK: to its end. */
static int32_t
find_in_dir(struct find *f, find_wanted wanted, void *ctx)
{
	struct dirent *e;

	if (!f->dir)
		f->dir = find_open_dir(f->fd, order[f->at]);
	if (!f->dir)
		return errno == ENOENT ? PM_OK : PM_TEMP;
	while (errno = 0, (e = readdir(f->dir)) != NULL) {
		if (wanted(e->d_name, ctx) && snap_takes(dirfd(f->dir), e) &&
		    !snap_add(f->s, e->d_name, f->at == FROM_NEW, 0))
			return PM_NOMEM;
		if (++f->names % NAMES_PER_LOOK == 0 && f->inst &&
		    maildir_now(f->inst) >= f->until_ms)
			return PM_AGAIN;
	}
	return errno == 0 ? PM_OK : PM_TEMP;
}

int32_t
find_some(struct find *f, find_wanted wanted, void *ctx)
{
	while (f->at < PAST_CUR) {
		int32_t rc = find_in_dir(f, wanted, ctx);

		if (rc != PM_OK)
			return rc;
		find_end(f);
		f->at++;
	}
	return PM_OK;
}

int32_t
find_files(int fd, find_wanted wanted, void *ctx, struct snap *s)
{
	struct find f;
	int32_t rc;

	find_begin(&f, fd, s);
	rc = find_some(&f, wanted, ctx);
	find_end(&f);
	return rc;
}

int32_t
find_names(int fd, find_wanted fn, void *ctx)
{
	struct find f;
	int32_t rc;

	find_begin(&f, fd, NULL);
	f.at = FROM_TMP;
	rc = find_some(&f, fn, ctx);
	find_end(&f);
	return rc;
}
