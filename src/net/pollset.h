/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pollset - the one epoll set: the listeners, the sockets of sessions, the acceptor's wake-up
 * descriptor. An event carries its `data`: a session's token, or a number below 2^32, which is the
 * acceptor's own (generations begin with 1, so no token is that small).
 *
 * Threads: the acceptor waits; any may add, change and remove. Opened before and closed after.
 */
#ifndef RST_NET_POLLSET_H
#define RST_NET_POLLSET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* False: no descriptor, or no memory. */
bool pollset_open(void);
void pollset_close(void);

/* False: the kernel refused, see errno and epoll_ctl(2). */
bool pollset_add(int fd, uint32_t events, uint64_t data);
bool pollset_change(int fd, uint32_t events, uint64_t data);
/* Closing the descriptor does it too. */
bool pollset_remove(int fd);

/* At most n events into ret, as epoll_wait(2). */
int pollset_wait(struct epoll_event *ret, int n, int timeout_ms);

#endif
