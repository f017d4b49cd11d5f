/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller - one connection to the control socket: a line comes, is answered, the answer goes, the
 * end.
 *
 * The admin thread moves bytes and answers what it has in memory. A verb that asks modules, the
 * disk or the main thread may take seconds: a thread of the caller's own waits for that answer (no
 * module is called there, errands do it), and nobody else waits for that caller.
 *
 * Threads: admin, but for that one.
 */
#ifndef RST_ADMIN_CALLER_H
#define RST_ADMIN_CALLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum caller_phase { CALLER_GONE, CALLER_SPEAKS, CALLER_WAITS, CALLER_LISTENS };

struct caller {
	enum caller_phase phase;
	int fd;
	int wake;         /* eventfd: written to when a waiting caller has its answer */
	int64_t until_ms; /* of its line, or of its reading the answer */
	char *line;       /* CALLER_LINE_MAX bytes; wiped: there may be a password in it */
	size_t n;
	char *answer;
	size_t answer_n, sent;
	pthread_t thread;
	_Atomic bool answered;
};

/* Takes over fd. False: no memory; fd is closed. */
bool caller_begin(struct caller *c, int fd, int wake, int64_t now_ms);
/* What its descriptor is to be polled for; 0: nothing. */
short caller_events(const struct caller *c);
/* As far as it goes without waiting; may end it. */
void caller_go(struct caller *c, int64_t now_ms);
/* Ends it, whatever it is at; waits for its thread. */
void caller_end(struct caller *c);

#endif
