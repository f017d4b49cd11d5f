/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - one connection to the control socket: a line comes, is answered, the answer goes, the
 * end.
 *
 * The admin thread moves bytes and answers from memory. A verb that asks modules, the disk or the
 * main thread may take seconds: a thread of the connection's own, the thread of the verb, waits
 * for that answer (it calls no module; errands do), and no other connection waits meanwhile.
 *
 * Threads: admin, but for that one.
 */
#ifndef RST_ADMIN_CONTROL_H
#define RST_ADMIN_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum control_phase { CONTROL_GONE, CONTROL_SPEAKS, CONTROL_WAITS, CONTROL_LISTENS };

struct control {
	enum control_phase phase;
	int fd;
	int wake;         /* eventfd: written to when the thread of a verb has the answer */
	int64_t until_ms; /* the latest time for its line, or for it to read the answer */
	char *line;       /* CALLER_LINE_MAX bytes; wiped: there may be a password in it */
	size_t n;
	char *answer;
	size_t answer_n, sent;
	pthread_t thread;
	_Atomic bool answered;
};

/* Takes over fd. False: no memory; fd is closed. */
bool control_begin(struct control *c, int fd, int wake, int64_t now_ms);
/* Events its descriptor is to be polled for; 0: none. */
short control_events(const struct control *c);
/* Goes on as far as that needs no waiting; may end it. */
void control_go(struct control *c, int64_t now_ms);
/* Ends it at any phase; waits for its thread. */
void control_end(struct control *c);

#endif
