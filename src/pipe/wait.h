/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait - waiting for a descriptor, until it is ready, the time is over, or a signal asks the
 * program to end. Main thread only.
 */
#ifndef RST_PIPE_WAIT_H
#define RST_PIPE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* From here on SIGTERM, SIGINT and SIGHUP come only while wait_ready waits; SIGPIPE never.
 * Before other threads are made: they inherit it. */
void wait_init(void);
/* From now on signals wait, too: the reply to the message must be read. */
void wait_hold_signals(void);
/* events as in poll(2); ms < 0: without limit. False: errno is ETIMEDOUT, or EINTR. */
bool wait_ready(int fd, short events, int64_t ms);

#endif
