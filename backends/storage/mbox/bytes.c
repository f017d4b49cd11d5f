/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes bytes at offsets of files: all of them, or the caller gets an errno. */
#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int
bytes_write(int fd, const void *p, size_t n, uint64_t at)
{
	const char *c = p;

	while (n > 0) {
		ssize_t w = pwrite(fd, c, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : ENOSPC;
		c += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

int
bytes_read(int fd, void *p, size_t n, uint64_t at)
{
	char *c = p;

	while (n > 0) {
		ssize_t got = pread(fd, c, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? errno : EIO;
		c += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int
bytes_copy(int from, uint64_t from_at, int to, uint64_t to_at, size_t n)
{
	char *buf = malloc(n + 1);
	int e = buf ? bytes_read(from, buf, n, from_at) : ENOMEM;

	if (e == 0)
		e = bytes_write(to, buf, n, to_at);
	free(buf);
	return e;
}

uint64_t
bytes_sum(const void *p, size_t n, uint64_t sum)
{
	for (const unsigned char *c = p; n > 0; c++, n--)
		sum = (sum ^ *c) * 0x100000001b3u;
	return sum;
}
