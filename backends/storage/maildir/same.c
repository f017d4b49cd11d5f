/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of files of messages that share a base name, compared, and again before one of them
 * is unlinked. */
#include "same.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maildir.h"
#include "octets.h"

#define PIECE 65536

bool
same_read(int fd, char content[LEDGER_CONTENT + 1], struct sdk_octets *ret_octets)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *x = EVP_MD_CTX_new();
	char *buf = malloc(PIECE);
	bool ok = x && buf && EVP_DigestInit_ex(x, EVP_sha256(), NULL) == 1;
	int e = ok ? 0 : ENOMEM;
	ssize_t got = 0;
	off_t at = 0;

	sdk_octets_init(ret_octets);
	while (ok && (got = pread(fd, buf, PIECE, at)) > 0) {
		ok = EVP_DigestUpdate(x, buf, (size_t)got) == 1;
		sdk_octets_feed(ret_octets, buf, (size_t)got);
		at += got;
	}
	if (got < 0)
		e = errno;
	ok = ok && got == 0 && EVP_DigestFinal_ex(x, md, NULL) == 1;
	for (int k = 0; ok && k < LEDGER_CONTENT / 2; k++)
		snprintf(content + 2 * k, 3, "%02x", md[k]);
	EVP_MD_CTX_free(x);
	free(buf);
	errno = e ? e : EIO;
	return ok;
}

static bool
same_bytes(int a, int b)
{
	char *x = malloc(PIECE), *y = malloc(PIECE);
	off_t at = 0;
	ssize_t n = 1;
	bool same = x && y;

	while (same && n > 0) {
		n = pread(a, x, PIECE, at);
		same = n >= 0 && pread(b, y, PIECE, at) == n && memcmp(x, y, (size_t)n) == 0;
		at += n;
	}
	free(x);
	free(y);
	return same;
}

/* Opens a regular file. -1: errno. */
static int
same_open_file(int dirfd, const char *path, struct stat *ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd != -1 && (fstat(fd, ret) != 0 || !S_ISREG(ret->st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool
same_message(int fd, const struct stat *st, int dirfd, const char *name)
{
	struct stat other;
	bool same =
		fstatat(dirfd, name, &other, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(other.st_mode);
	int b;

	if (!same || (other.st_ino == st->st_ino && other.st_dev == st->st_dev) || fd == -1 ||
	    other.st_size != st->st_size)
		return same && other.st_ino == st->st_ino && other.st_dev == st->st_dev;
	b = same_open_file(dirfd, name, &other);
	same = b != -1 && other.st_size == st->st_size && same_bytes(fd, b);
	if (b != -1)
		(void)close(b);
	return same;
}

static bool
same_looks_like(const struct ledger_file *x, const struct stat *st)
{
	return x->ino == st->st_ino && x->size == (uint64_t)st->st_size &&
	       x->mtime_ns ==
		       (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

bool
same_as_known(int dirfd, const char *path, const struct ledger_message *m)
{
	char content[LEDGER_CONTENT + 1] = SAME_UNREAD;
	struct sdk_octets octets;
	struct stat st;
	bool same = false;
	int fd;

	if (!m->files)
		return true; /* no other message had its name */
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	fd = same_open_file(dirfd, path, &st);
	if (fd != -1 && !same_read(fd, content, &octets))
		snprintf(content, sizeof(content), SAME_UNREAD);
	for (const struct ledger_file *x = m->files; x && !same; x = x->next)
		same = strcmp(content, x->content) == 0 &&
		       (strcmp(content, SAME_UNREAD) != 0 || same_looks_like(x, &st));
	if (fd != -1)
		(void)close(fd);
	return same;
}
