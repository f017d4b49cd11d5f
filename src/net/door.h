/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door - who may come in: the caps, the counters, the word for those turned away. acceptor_left,
 * acceptor_sessions, acceptor_set_limits and acceptor_get_stats (acceptor.h) are its too.
 * Threads: the acceptor's, but for those four, and workers for a proxy's clients.
 */
#ifndef RST_NET_DOOR_H
#define RST_NET_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/acceptor.h"

enum door_event { DOOR_ACCEPTED, DOOR_SHED, DOOR_OUT_OF_FILES };

/* Before the first newcomer. */
void door_open(const struct acceptor_limits *limits);

/* True: counted, acceptor_left must follow. When the place is getting short, somebody who only
 * holds a place is asked to leave. */
/* proxied: no cap for its address: many clients come from there. */
bool door_enter(const struct peer *p, bool proxied, int64_t now_ms);
/* One who was let in as `from`, a proxy, is `to`. False: too many of that address; still counted
 * as `from`. */
bool door_exchange(const struct peer *from, const struct peer *to);
/* Any thread: makes the task of one who was let in, and parks or queues it. False: turned away
 * and uncounted. */
bool door_admit(const struct listener *l, int fd, const struct peer *p,
		struct task *(*make)(const struct listener *l, int fd, const struct peer *p));
/* No newcomer any more: whoever is made after this is told to leave. */
void door_close(void);
/* The listener's busy_text if it has one, then the end. fd is closed. */
void door_turn_away(const struct listener *l, int fd);

void door_count(enum door_event e);
int64_t door_shed_ms(void);

#endif
