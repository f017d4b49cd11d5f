/* SPDX-License-Identifier: Apache-2.0 */
#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "dir.h"
#include "kill.h"

#define PIECE 16384

void
draft_init(struct draft *d, struct inst *i)
{
	*d = (struct draft){.inst = i, .dir = -1, .fd = -1, .lines.crlf = i->crlf};
	sdk_octets_init(&d->octets);
}

/* ---- files of tmp/ --------------------------------------------------------------------------- */

static void
tmp_path(const char *name, char *buf, size_t cap)
{
	snprintf(buf, cap, "tmp/%s", name);
}

/* A new file; -1: errno. */
static int
open_new(const struct inst *i, int dir, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	char path[DRAFT_NAME_MAX + 5];
	int fd;

	tmp_path(name, path, sizeof(path));
	fd = openat(dir, path, flags, 0600);
	/* the process that made the maildir was killed before it made tmp/ */
	if (fd == -1 && errno == ENOENT && dir_fill(i, dir))
		fd = openat(dir, path, flags, 0600);
	return fd;
}

void
draft_remove(int dir, const char *name)
{
	char path[DRAFT_NAME_MAX + 5];

	tmp_path(name, path, sizeof(path));
	/* one that stays all the same goes with what is old (sweep.c) */
	(void)unlinkat(dir, path, 0);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* 0 or an errno. */
static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int
sync_file(const struct inst *i, int fd)
{
	return i->fsync && fsync(fd) != 0 ? errno : 0;
}

int
draft_make(struct draft *d, const char *name)
{
	d->fd = open_new(d->inst, d->dir, name);
	if (d->fd == -1)
		return errno;
	snprintf(d->name, sizeof(d->name), "%s", name);
	return 0;
}

int
draft_put(struct draft *d, const char *in, size_t n)
{
	char out[PIECE + 1];
	int e = 0;

	while (n > 0 && e == 0) {
		size_t k = n < PIECE ? n : PIECE;
		size_t o = sdk_lines_feed(&d->lines, in, k, out);

		e = write_all(d->fd, out, o);
		sdk_octets_feed(&d->octets, out, o);
		in += k;
		n -= k;
	}
	return e;
}

int
draft_finish(struct draft *d)
{
	char last;
	int e = 0;

	if (sdk_lines_end(&d->lines, &last) > 0) {
		e = write_all(d->fd, &last, 1);
		sdk_octets_feed(&d->octets, &last, 1);
	}
	KILL_POINT("delivery: before fsync");
	return e ? e : sync_file(d->inst, d->fd);
}

void
draft_close(struct draft *d)
{
	if (d->fd != -1)
		(void)close(d->fd);
	d->fd = -1;
}

/* ---- for the others -------------------------------------------------------------------------- */

int
draft_link(const struct draft *d, int dir, const char *name)
{
	char from[DRAFT_NAME_MAX + 5], to[DRAFT_NAME_MAX + 5];

	tmp_path(d->name, from, sizeof(from));
	tmp_path(name, to, sizeof(to));
	return linkat(d->dir, from, dir, to, 0) == 0 ? 0 : errno;
}

/* Writes a head and the message. 0 or an errno. */
static int
write_copy(const struct draft *d, struct draft *copy, struct pm_str head)
{
	char buf[PIECE];
	off_t at = 0;
	ssize_t got;
	int e = draft_put(copy, head.p, head.n);

	while (e == 0 && (got = pread(d->fd, buf, sizeof(buf), at)) != 0) {
		if (got < 0)
			return errno;
		e = write_all(copy->fd, buf, (size_t)got);
		sdk_octets_feed(&copy->octets, buf, (size_t)got);
		at += got;
	}
	return e ? e : sync_file(d->inst, copy->fd);
}

int
draft_copy(const struct draft *d, int dir, const char *name, struct pm_str head,
	   struct sdk_octets *ret_octets)
{
	struct draft copy;
	int e;

	draft_init(&copy, d->inst);
	copy.fd = open_new(d->inst, dir, name);
	if (copy.fd == -1)
		return errno;
	e = write_copy(d, &copy, head);
	if (close(copy.fd) != 0 && e == 0)
		e = errno;
	if (e)
		draft_remove(dir, name);
	else
		*ret_octets = copy.octets;
	return e;
}

void
draft_drop(struct draft *d)
{
	draft_close(d);
	if (d->name[0])
		draft_remove(d->dir, d->name);
	d->name[0] = '\0';
	if (d->dir != -1)
		(void)close(d->dir);
	d->dir = -1;
}
