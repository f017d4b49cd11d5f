/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot: its items and names, and the directories it was taken from. */
#include "snap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "maildir.h"
#include "name.h"

/* ---- items ----------------------------------------------------------------------------------- */

void
snap_free(struct snap *s)
{
	if (!s)
		return;
	free(s->items);
	free(s->hidden);
	free(s->names);
	free(s);
}

bool
snap_add_name(struct snap *s, const char *text, size_t n, uint32_t *ret)
{
	if (s->names_n + n + 1 > s->names_cap) {
		size_t cap = s->names_cap ? s->names_cap * 2 : 4096;
		char *more;

		while (cap < s->names_n + n + 1)
			cap *= 2;
		more = cap <= UINT32_MAX ? realloc(s->names, cap) : NULL;
		if (!more)
			return false;
		s->names = more;
		s->names_cap = cap;
	}
	memcpy(s->names + s->names_n, text, n);
	s->names[s->names_n + n] = '\0';
	*ret = (uint32_t)s->names_n;
	s->names_n += n + 1;
	return true;
}

bool
snap_add(struct snap *s, const char *name, bool in_new, uint64_t ino)
{
	struct item *it;

	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct item *more = realloc(s->items, cap * sizeof(*more));

		if (!more)
			return false;
		s->items = more;
		s->cap = cap;
	}
	it = &s->items[s->n];
	memset(it, 0, sizeof(*it));
	if (!snap_add_name(s, name, strlen(name), &it->name))
		return false;
	it->base_n = (uint16_t)name_base_length(name);
	it->in_new = in_new;
	it->ino = ino;
	it->number = 1;
	it->octets = UNKNOWN_OCTETS;
	it->arrival = name_arrival(name);
	s->n++;
	return true;
}

/* True for a name that can be served: not hidden, and without white space or control bytes, which
 * the ledger's fields cannot hold. */
static bool
snap_name_ok(const char *name)
{
	if (name[0] == '.' || name_base_length(name) == 0)
		return false;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return false;
	return true;
}

/* The directory gives most types for free; DT_UNKNOWN costs a stat. */
bool
snap_takes(int dirfd_, const struct dirent *d)
{
	struct stat st;

	if (!snap_name_ok(d->d_name))
		return false;
	if (d->d_type == DT_REG)
		return true;
	if (d->d_type != DT_UNKNOWN)
		return false;
	if (fstatat(dirfd_, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISREG(st.st_mode);
	return errno != ENOENT; /* a file that cannot be looked at is not gone */
}

/* ---- the directories it was taken from ------------------------------------------------------- */

void
snap_stat(int fd, struct snap *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (fstat(fd, &st) == 0) {
		ret->dev = st.st_dev;
		ret->ino = st.st_ino;
	}
	if (fstatat(fd, "new", &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->new_mtime = st.st_mtim;
	if (fstatat(fd, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->cur_mtime = st.st_mtim;
	if (fstatat(fd, LEDGER_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		ret->ledger_ino = st.st_ino;
		ret->ledger_size = st.st_size;
	}
}

bool
snap_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
snap_same_dirs(const struct snap *a, const struct snap *b)
{
	return snap_same_time(a->new_mtime, b->new_mtime) &&
	       snap_same_time(a->cur_mtime, b->cur_mtime);
}

bool
snap_unchanged(const struct snap *s, const struct snap *now)
{
	return s->settled && s->dev == now->dev && s->ino == now->ino && snap_same_dirs(s, now) &&
	       s->ledger_ino == now->ledger_ino && s->ledger_size == now->ledger_size;
}

struct box_key
snap_key(const struct snap *s)
{
	struct box_key k;

	memset(&k, 0, sizeof(k)); /* padding is hashed too */
	k.dev = s->dev;
	k.ino = s->ino;
	return k;
}

struct sdk_look
snap_look(const struct inst *i, int fd)
{
	struct snap s;

	snap_stat(fd, &s);
	return (struct sdk_look){
		.word = {s.dev, s.ino, (uint64_t)s.new_mtime.tv_sec, (uint64_t)s.new_mtime.tv_nsec,
			 (uint64_t)s.cur_mtime.tv_sec, (uint64_t)s.cur_mtime.tv_nsec, s.ledger_ino,
			 (uint64_t)s.ledger_size},
		.at_rest = sdk_at_rest(i->host, s.new_mtime) && sdk_at_rest(i->host, s.cur_mtime)};
}

struct sdk_box
snap_box(int fd)
{
	struct stat st = {0};

	(void)fstat(fd, &st);
	return (struct sdk_box){{st.st_dev, st.st_ino}};
}
