/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fit - which servers this store may be on, judged by what they answer. It rests on two things: all
 * statements of a connection go to one server, and a read shows what was committed before, on any
 * node. A proxy that sends reads to replicas breaks both, unseen; so does a group of MySQL servers
 * with several primaries whose reads do not wait.
 */
#ifndef MYSQL_FIT_H
#define MYSQL_FIT_H

#include <stdbool.h>
#include <stdint.h>

#define FIT_SERVER_MAX 160

/* The server and connection that a statement came to. */
struct fit_end {
	uint64_t connection;
	char server[FIT_SERVER_MAX]; /* id, host, port */
	bool readonly;
};

/* NULL, or why a connection cannot be used whose statements came to these ends: outside of a
 * transaction, and a locking read within one. */
const char *fit_ends(const struct fit_end *outside, const struct fit_end *within);

/* A Group Replication's settings; zeroes to begin with. */
struct fit_group {
	bool named, several_primaries, waits;
};

/* Notes one row of SHOW VARIABLES. */
void fit_note(struct fit_group *g, const char *name, const char *value);
/* NULL, or why a server of this group cannot be used. */
const char *fit_group(const struct fit_group *g);

#endif
