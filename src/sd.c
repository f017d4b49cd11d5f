/* SPDX-License-Identifier: Apache-2.0 */
#include "sd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define SD_FIRST_FD 3

static bool
env_number(const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = getenv(name);

	return text && num_parse(text, strlen(text), max, ret);
}

/* Sockets passed in: descriptors 3 .. 3 + n - 1, made close-on-exec. 0: none, or not for us. */
static int
sd_listen_count(void)
{
	uint64_t pid, n;

	if (!env_number("LISTEN_PID", INT32_MAX, &pid) || pid != (uint64_t)getpid())
		return 0;
	if (!env_number("LISTEN_FDS", 64, &n))
		return 0;
	for (int fd = SD_FIRST_FD; fd < SD_FIRST_FD + (int)n; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* fails only if it is no descriptor */
	return (int)n;
}

/* Does socket fd listen on this address and port? */
static bool
bound_to(int fd, const char *address, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	char text[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return false;
	if (ss.ss_family == AF_UNIX) /* ss was zeroed: the path is terminated */
		return strcmp(((const struct sockaddr_un *)&ss)->sun_path, address) == 0;
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		return ntohs(in->sin_port) == port && strcmp(text, address) == 0;
	}
	if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		return ntohs(in6->sin6_port) == port && strcmp(text, address) == 0;
	}
	return false;
}

int
sd_listen_find(const char *address, uint16_t port)
{
	int n = sd_listen_count();

	for (int fd = SD_FIRST_FD; fd < SD_FIRST_FD + n; fd++) {
		if (!bound_to(fd, address, port))
			continue;
		int flags = fcntl(fd, F_GETFL);

		if (flags != -1)
			/* a listening socket takes it */
			(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		return fd;
	}
	return -1;
}

void
sd_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(sun.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, n);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* abstract */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return;
	/* The manager may be gone; a service does not fail because of that. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sun,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)close(fd);
}

void
sd_tell_reloading(void)
{
	char text[80];
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	sd_tell(text);
}

int64_t
sd_watchdog_ms(void)
{
	uint64_t usec, pid;

	if (!env_number("WATCHDOG_USEC", INT64_MAX, &usec))
		return 0;
	if (env_number("WATCHDOG_PID", INT32_MAX, &pid) && pid != (uint64_t)getpid())
		return 0;
	return (int64_t)(usec / 2000);
}
