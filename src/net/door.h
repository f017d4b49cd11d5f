/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door - admission: the caps on sessions, in total and per address, the counters, the answer to
 * those turned away.
 * Threads: the acceptor's; those marked "any" run on workers too.
 */
#ifndef RST_NET_DOOR_H
#define RST_NET_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/listener.h"
#include "net/peer.h"

struct door_limits {
	uint32_t max_sessions;    /* sockets in total */
	uint32_t max_per_address; /* 0 = no limit */
	/* head of the run queue older than this: accept no more for now */
	int64_t shed_ms;
};

enum door_event { DOOR_ACCEPTED, DOOR_SHED, DOOR_OUT_OF_FILES };

struct door_stats {
	uint64_t accepted, refused_total, refused_address, shed, out_of_files, pressured;
};

/* Before the first newcomer. */
void door_open(const struct door_limits *limits);
/* Any: a reload; for newcomers from now on. */
void door_set_limits(const struct door_limits *limits);
int64_t door_shed_ms(void);

/*
 * May one more come in? True: counted, and door_leave must follow. Above 80 % of max_sessions a
 * session that is only idling before its login is asked to leave.
 * proxied: the address is a proxy's, many clients come from there: no cap on it.
 */
bool door_enter(const struct peer *p, bool proxied, int64_t now_ms);
/* Any: the connection that was let in as `from`, a proxy's, is counted as `to` from now on. False:
 * too many of that address; it is still counted as `from`. */
bool door_exchange(const struct peer *from, const struct peer *to);
/* Any: makes the task of a connection that was let in, and parks or queues it. False: turned away
 * and no longer counted. */
bool door_admit(const struct listener *l, int fd, const struct peer *p,
		struct task *(*make)(const struct listener *l, int fd, const struct peer *p));
/* Any: sends the listener's busy_text if it has one, and closes fd. */
void door_turn_away(const struct listener *l, int fd);
/* Any: a session's socket is closed: the total count, and the peer's, go down. */
void door_leave(uint64_t peer_key);
/* Main: no more newcomers; a session made after this is told to leave. */
void door_close(void);

void door_count(enum door_event e);
/* Any. */
uint32_t door_sessions(void);
void door_get_stats(struct door_stats *ret);

#endif
