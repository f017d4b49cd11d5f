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

static bool
unseen_in(int fd, const char *dir, struct ledger *l, const char *uidl, size_t n)
{
	DIR *d = find_open_dir(fd, dir);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)) != NULL) {
		size_t base_n = e->d_name[0] != '.' ? name_base_length(e->d_name) : 0;

		found = base_n > 0 && match_own_uidl(e->d_name, base_n, uidl, n) &&
			!ledger_find(l, e->d_name, base_n);
	}
	if (d)
		closedir(d);
	return found;
}

bool
find_unseen(int fd, struct ledger *l, const char *uidl, size_t n)
{
	/* in this order, since mail moves from new to cur, never back */
	return unseen_in(fd, "new", l, uidl, n) || unseen_in(fd, "cur", l, uidl, n);
}

/* Looks for a file in one directory by base name and, unless it is 0, inode. *ret_name gets the
 * whole name. */
static bool
find_in(int fd, const char *dir, const char *base, size_t n, uint64_t ino, char *ret_name,
	size_t cap)
{
	DIR *d = find_open_dir(fd, dir);
	struct dirent *e;
	struct stat st;
	bool found = false;

	if (!d)
		return false;
	while (!found && (e = readdir(d)) != NULL) {
		if (name_base_length(e->d_name) != n || memcmp(e->d_name, base, n) != 0)
			continue;
		found = ino == 0 || (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				     st.st_ino == ino);
		if (found)
			snprintf(ret_name, cap, "%s", e->d_name);
	}
	closedir(d);
	return found;
}

bool
find_again(int fd, struct snap *s, struct item *it)
{
	char base[256], name[256];
	uint32_t at;
	bool in_new = false, found = false;

	snprintf(base, sizeof(base), "%.*s", (int)it->base_n, s->names + it->name);
	/* cur is read again: the file may have come there, or been renamed past readdir, meanwhile
	 */
	for (int look = 0; look < 4 && !found; look++) {
		in_new = look % 2 == 1;
		found = find_in(fd, in_new ? "new" : "cur", base, it->base_n, it->ino, name,
				sizeof(name));
	}
	if (!found)
		return false;
	if (!snap_add_name(s, name, strlen(name), &at))
		return false;
	if (it->uidl == it->name)
		it->uidl = at; /* the same base name */
	it->name = at;
	it->in_new = in_new;
	return true;
}

/* ---- many of them ---------------------------------------------------------------------------- */

static bool
add_files(int fd, const char *dir, bool (*wanted)(const char *name, void *ctx), void *ctx,
	  struct snap *s)
{
	DIR *d = find_open_dir(fd, dir);
	bool ok = true;
	struct dirent *e;

	if (!d)
		return errno == ENOENT;
	while (ok && (errno = 0, e = readdir(d)) != NULL)
		if (wanted(e->d_name, ctx) && snap_takes(dirfd(d), e) &&
		    !snap_add(s, e->d_name, dir[0] == 'n', 0)) {
			ok = false;
			errno = ENOMEM;
		}
	ok = ok && errno == 0;
	closedir(d);
	return ok;
}

bool
find_files(int fd, bool (*wanted)(const char *name, void *ctx), void *ctx, struct snap *s)
{
	/* mail moves from new to cur; cur is read twice because another reader may rename a file
	 * past readdir */
	return add_files(fd, "new", wanted, ctx, s) && add_files(fd, "cur", wanted, ctx, s) &&
	       add_files(fd, "cur", wanted, ctx, s);
}

bool
find_names(int fd, bool (*fn)(const char *name, void *ctx), void *ctx)
{
	return add_files(fd, "tmp", fn, ctx, NULL) && find_files(fd, fn, ctx, NULL);
}
