/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets. What a session's socket needs is set here once: Linux hands TCP_NODELAY,
 * SO_SNDBUF and keepalive on to accepted sockets, which saves five calls a session. There is no
 * TCP_USER_TIMEOUT: it counts the time of a window that stays shut, and so would cut off a client
 * that digests one message before it reads the next; how long it may is the idle timer's matter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/acceptor.h"

/* Measured: 64 KiB bounds what a stopped reader can make the kernel hold to twice that, and an
 * eager one loses little; 16 KiB costs a factor of ten. */
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

/* Length of the address, 0: not one. */
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

/* errno text, with the number: "Permission denied (13)". */
static void
say(char *err, size_t errlen, const char *what, const char *address, uint16_t port)
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
	say(err, errlen, what, address, port);
	if (fd != -1)
		(void)close(fd); /* nothing came through it */
	return -1;
}

/* ---- unix sockets ---------------------------------------------------------------------------- */

/* Does somebody answer there? */
static bool
path_answers(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool yes = fd != -1 && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN);

	if (fd != -1)
		(void)close(fd); /* nothing was said */
	return yes;
}

/* -1: there is no such one, or it cannot be looked up. */
static uid_t
uid_of(const char *name)
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	return getpwnam_r(name, &pw, buf, sizeof(buf), &found) == 0 && found ? pw.pw_uid : (uid_t)-1;
}

static gid_t
gid_of(const char *name)
{
	struct group gr, *found = NULL;
	char buf[8192];

	return getgrnam_r(name, &gr, buf, sizeof(buf), &found) == 0 && found ? gr.gr_gid : (gid_t)-1;
}

static bool
path_give(const char *path, unsigned mode, const char *owner, const char *group, char *err, size_t errlen)
{
	uid_t uid = owner ? uid_of(owner) : (uid_t)-1;
	gid_t gid = group ? gid_of(group) : (gid_t)-1;

	if (owner && uid == (uid_t)-1) {
		snprintf(err, errlen, "owner = %s: there is no such user", owner);
		return false;
	}
	if (group && gid == (gid_t)-1) {
		snprintf(err, errlen, "group = %s: there is no such group", group);
		return false;
	}
	if (((owner || group) && chown(path, uid, gid) != 0) || chmod(path, mode) != 0) {
		snprintf(err, errlen, "cannot set owner and mode of %s: %s (%d)", path, strerrordesc_np(errno), errno);
		return false;
	}
	return true;
}

int
listener_open_path(const char *path, unsigned mode, const char *owner, const char *group, char *err, size_t errlen)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path)) {
		snprintf(err, errlen, "%s is too long for a socket's path", path);
		return -1;
	}
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || path_answers(&sa)) {
			snprintf(err, errlen, "%s: %s", path,
				 S_ISSOCK(st.st_mode) ? "another program listens there" : "it is there and is not a socket");
			return -1;
		}
		(void)unlink(path); /* bind says it if it would not go */
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 || listen(fd, SOMAXCONN) == -1) {
		snprintf(err, errlen, "cannot listen on %s: %s (%d)", path, strerrordesc_np(errno), errno);
		goto failed;
	}
	if (path_give(path, mode, owner, group, err, errlen))
		return fd;
failed:
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
