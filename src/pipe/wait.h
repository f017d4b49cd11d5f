/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience - waiting for a descriptor, until it is ready, the time is over, or a signal asks the
 * program to end. Main thread only.
 */
#ifndef RST_PIPE_WAIT_H
#define RST_PIPE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* From here on SIGTERM, SIGINT and SIGHUP come only while patience_wait waits; SIGPIPE never.
 * Before other threads are made: they inherit it. */
void patience_init(void);
/* Signals wait too: what is under way now must not be left without its answer. */
void patience_hold_signals(void);
/* events as in poll(2); ms < 0: without limit. False: errno is ETIMEDOUT, or EINTR. */
bool patience_wait(int fd, short events, int64_t ms);

#endif
