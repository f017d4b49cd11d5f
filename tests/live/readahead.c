/* SPDX-License-Identifier: Apache-2.0
 * Loaded into movemail: mailutils asks the kernel for every single octet, 50 million times for one
 * message, which wastes most of a minute. Here it gets the same octets, in the same order, from a
 * buffer. For connections in clear only: GnuTLS waits by select(2), which knows no such buffer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

static char ahead[65536];
static size_t begin, end;
static int owner = -1; /* movemail has one connection */

ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	static ssize_t (*real)(int, void *, size_t, int);
	if (!real)
		real = (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
	if (owner == -1)
		owner = fd;
	if (fd != owner || flags != 0)
		return real(fd, buf, n, flags);
	if (begin == end) {
		ssize_t got = real(fd, ahead, sizeof(ahead), 0);
		if (got <= 0)
			return got;
		begin = 0;
		end = (size_t)got;
	}
	if (n > end - begin)
		n = end - begin;
	memcpy(buf, ahead + begin, n);
	begin += n;
	return (ssize_t)n;
}
