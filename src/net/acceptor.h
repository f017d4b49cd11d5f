/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acceptor - the one thread that accepts, watches sockets and deadlines, and feeds the run queue.
 */
#ifndef RST_NET_ACCEPTOR_H
#define RST_NET_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/door.h"
#include "net/listener.h"

struct gate;

/* The listeners stay the caller's until acceptor_stop; those whose fd is -1 are skipped. */
bool acceptor_start(const struct door_limits *limits, struct listener *listeners, size_t n);
/* Called four times a second on the acceptor thread, after deadlines and gates; set before
 * start. */
void acceptor_set_tick(void (*fn)(int64_t now_ms));
/* Called when a gate wants a probe of its module; set before start. */
void acceptor_set_probe(void (*fn)(struct gate *g));
/* Stop accepting; listeners are closed. Sessions live on. Returns when no session can come any
 * more. */
void acceptor_close_listeners(void);
/* After all sessions ended: ends the thread. */
void acceptor_stop(void);

#endif
