/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum dial_result
dial(const struct sockaddr *sa, socklen_t len, const char *where, int *ret_fd, char *err,
     size_t errlen)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	if (fd != -1 && connect(fd, sa, len) == 0) {
		*ret_fd = fd;
		return DIAL_OK;
	}
	e = errno;
	if (fd != -1)
		(void)close(fd); /* it was never connected */
	snprintf(err, errlen, "cannot connect to %s: %s (%d)%s", where, strerrordesc_np(e), e,
		 e == EACCES ? "; see mode, owner and group of the listener" : "");
	return e == ENOENT || e == ECONNREFUSED ? DIAL_NOBODY : DIAL_FAILED;
}

enum dial_result
dial_path(const char *path, int *ret_fd, char *err, size_t errlen)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sa.sun_path)) {
		snprintf(err, errlen, "%s is too long for a socket's path", path);
		return DIAL_FAILED;
	}
	memcpy(sa.sun_path, path, strlen(path));
	return dial((const struct sockaddr *)&sa, sizeof(sa), path, ret_fd, err, errlen);
}

/* A listener on all addresses is reached by the loopback's. */
static enum dial_result
dial_tcp(const struct conf_listener *l, int *ret_fd, char *err, size_t errlen)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(l->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
	char where[100];

	snprintf(where, sizeof(where), "%s port %u", l->address, (unsigned)l->port);
	if (inet_pton(AF_INET, l->address, &in.sin_addr) == 1) {
		if (in.sin_addr.s_addr == htonl(INADDR_ANY))
			in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return dial((const struct sockaddr *)&in, sizeof(in), where, ret_fd, err, errlen);
	}
	if (inet_pton(AF_INET6, l->address, &in6.sin6_addr) != 1)
		return DIAL_NOBODY;
	if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
		in6.sin6_addr = in6addr_loopback;
	return dial((const struct sockaddr *)&in6, sizeof(in6), where, ret_fd, err, errlen);
}

enum dial_result
dial_conf(const struct conf *c, int *ret_fd, char *err, size_t errlen)
{
	enum dial_result r = DIAL_NOBODY;

	for (int tcp = 0; tcp < 2; tcp++) {
		for (size_t i = 0; i < c->n_listeners && r == DIAL_NOBODY; i++) {
			const struct conf_listener *l = &c->listeners[i];

			if (l->protocol != CONF_LMTP || !l->path != (tcp == 1) ||
			    l->tls == CONF_TLS_IMPLICIT || l->proxy != CONF_PROXY_OFF)
				continue;
			r = l->path ? dial_path(l->path, ret_fd, err, errlen)
				    : dial_tcp(l, ret_fd, err, errlen);
		}
	}
	return r;
}
