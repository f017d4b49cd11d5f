/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets. The options that a session's socket needs are set here once: Linux hands
 * TCP_NODELAY, SO_SNDBUF and keepalive on to accepted sockets, which saves five calls a session.
 * There is no TCP_USER_TIMEOUT: it counts the time of a window that stays shut, and so would cut
 * off a client that digests one message before it reads the next; how long that may take is up to
 * the idle timer.
 */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Measured: 64 KiB limits what the kernel must hold for a stopped reader to twice that, and costs
 * an eager one little; 16 KiB makes it ten times slower. */
#define SNDBUF_DEFAULT (64 * 1024)
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

static void
set_int(int fd, int level, int option, int value)
{
	/* An option that cannot be set makes sessions slower to end, not wrong. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void
listener_tune(int fd, int sndbuf)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags != -1)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK); /* cannot fail on an open socket */
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	set_int(fd, SOL_SOCKET, SO_SNDBUF, sndbuf > 0 ? sndbuf : SNDBUF_DEFAULT);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* Length of the address, 0: not an address. */
static socklen_t
address_from_text(const char *address, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (void *)ret;
	struct sockaddr_in *in = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return sizeof(*in6);
	}
	return 0;
}

/* With the text of errno and its number: "Permission denied (13)". */
static void
listener_explain(char *err, size_t errlen, const char *what, const char *address, uint16_t port)
{
	int e = errno;
	const char *hint = "";

	if (e == EADDRINUSE)
		hint = "; another program listens there";
	else if (e == EACCES)
		hint = "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
	else if (e == EADDRNOTAVAIL)
		hint = "; no interface of this machine has that address";
	snprintf(err, errlen, "cannot %s %s port %u: %s (%d)%s", what, address, (unsigned)port,
		 strerrordesc_np(e), e, hint);
}

int
listener_open(const char *address, uint16_t port, int sndbuf, char *err, size_t errlen)
{
	struct sockaddr_storage sa;
	socklen_t len = address_from_text(address, port, &sa);
	const char *what = "make a socket for";
	int fd;

	if (len == 0) {
		snprintf(err, errlen,
			 "'%s' is not an IPv4 or IPv6 address (0.0.0.0 or :: for all of one kind)",
			 address);
		return -1;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		goto failed;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (sa.ss_family == AF_INET6) /* IPv4 has a listener of its own */
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	listener_tune(fd, sndbuf);
	what = "bind";
	if (bind(fd, (struct sockaddr *)&sa, len) == -1)
		goto failed;
	what = "listen on";
	if (listen(fd, SOMAXCONN) == -1)
		goto failed;
	return fd;
failed:
	listener_explain(err, errlen, what, address, port);
	if (fd != -1)
		(void)close(fd); /* nothing came through it */
	return -1;
}

uint16_t
listener_port(int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return 0;
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	if (sa.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&sa)->sin_port);
	return 0;
}
