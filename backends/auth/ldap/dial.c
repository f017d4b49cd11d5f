/* SPDX-License-Identifier: Apache-2.0 */
/*
 * We connect ourselves and hand the socket to libldap: its own connect looks names up and tries
 * addresses for as long as it likes. A name lookup is the one thing that cannot be bounded here;
 * the manual says so.
 */
#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLICE_MS 200

/* Waits for a connect under way; 0 or an errno. */
static int
dial_await(const struct ask *a, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int err = 0;
	socklen_t n = sizeof(err);

	for (;;) {
		int64_t left = ask_left(a);
		int rc;

		if (left == 0)
			return ETIMEDOUT;
		if (a->call->cancelled(a->call))
			return ECANCELED;
		rc = poll(&p, 1, (int)(left < SLICE_MS ? left : SLICE_MS));
		if (rc < 0 && errno != EINTR)
			return errno;
		if (rc > 0)
			return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0 ? err : errno;
	}
}

/* A connection that nobody answers is given up by the kernel too; small requests are sent at
 * once. */
static void
dial_tune(int fd)
{
	int on = 1, idle = 60, interval = 10, count = 3, gone_ms = 30000;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
}

/* 0 and *ret_fd, or an errno. */
static int
dial_connect_to(const struct ask *a, const struct sockaddr *to, socklen_t n, int *ret_fd)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	if (fd == -1)
		return errno;
	if (to->sa_family != AF_UNIX)
		dial_tune(fd);
	if (connect(fd, to, n) != 0)
		err = errno == EINPROGRESS ? dial_await(a, fd) : errno;
	if (err == 0)
		*ret_fd = fd;
	else
		(void)close(fd);
	return err;
}

static int32_t
dial_failed(const struct ask *a, const struct server *server, int err)
{
	if (err == ECANCELED)
		return PM_CANCELLED;
	if (err == ETIMEDOUT || err == EAGAIN) { /* EAGAIN: the queue of a unix socket is full */
		ask_error(a, "%s: no connection in time; is it up, is connect_timeout enough?",
			  server->uri);
		return PM_TIMEOUT;
	}
	ask_error(a, "%s: no connection: %s", server->uri, strerrordesc_np(err));
	return PM_DOWN;
}

static int32_t
dial_unix(const struct ask *a, const struct server *server, int *ret_fd)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int err;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", server->path); /* its length was checked */
	err = dial_connect_to(a, (const struct sockaddr *)(const void *)&to, sizeof(to), ret_fd);
	return err ? dial_failed(a, server, err) : PM_OK;
}

int32_t
dial(const struct ask *a, const struct server *server, int *ret_fd)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
			*list = NULL;
	int err = ETIMEDOUT, left = 0;

	if (!server->host)
		return dial_unix(a, server, ret_fd);
	err = getaddrinfo(server->host, server->port, &hints, &list);
	if (err != 0) {
		ask_error(a, "%s: the name is not found: %s", server->uri, gai_strerror(err));
		return PM_DOWN;
	}
	for (const struct addrinfo *i = list; i; i = i->ai_next)
		left++;
	err = ETIMEDOUT;
	/* each address gets its share of the time: the first may be the one that is gone */
	for (const struct addrinfo *i = list; i && err != 0 && err != ECANCELED;
	     i = i->ai_next, left--) {
		struct ask mine = ask_within(a, ask_left(a) / left);

		err = dial_connect_to(&mine, i->ai_addr, i->ai_addrlen, ret_fd);
	}
	freeaddrinfo(list);
	return err ? dial_failed(a, server, err) : PM_OK;
}
