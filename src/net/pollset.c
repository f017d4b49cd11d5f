/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pollset.h"

#include <unistd.h>

static int set = -1;

bool
pollset_open(void)
{
	set = epoll_create1(EPOLL_CLOEXEC);
	return set != -1;
}

void
pollset_close(void)
{
	if (set != -1)
		(void)close(set); /* kernel memory only */
	set = -1;
}

bool
pollset_add(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) == 0;
}

bool
pollset_change(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return epoll_ctl(set, EPOLL_CTL_MOD, fd, &e) == 0;
}

bool
pollset_remove(int fd)
{
	return epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL) == 0;
}

int
pollset_wait(struct epoll_event *ret, int n, int timeout_ms)
{
	return epoll_wait(set, ret, n, timeout_ms);
}
