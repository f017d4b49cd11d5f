/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - ends a socket at a given time: for a library that blocks without asking us how long. One thread for an
 * instance, ended with it (R8). The watched descriptor is a copy: the library may close its own at any moment, and
 * the number may be somebody else's by then.
 */
#ifndef SQL_WATCH_H
#define SQL_WATCH_H

#include <stdint.h>

struct watch;
struct watched;

/* NULL: no memory, no thread. */
struct watch *watch_new(void);
void watch_free(struct watch *w);

/* From now on: at until_ms (CLOCK_MONOTONIC) nothing can be read from the socket any more. NULL: no memory, no
 * descriptor. */
struct watched *watch_begin(struct watch *w, int fd, int64_t until_ms);
/* The socket is left alone again; NULL is fine. */
void watch_end(struct watch *w, struct watched *one);

#endif
