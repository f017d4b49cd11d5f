/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - ends a socket at a given time: for a library that blocks without asking us how long. One
 * thread for an instance, ended with it (R8). The watched descriptor is a copy: the library may
 * close its own at any moment, and the number may be somebody else's by then.
 */
#ifndef SDK_WATCH_H
#define SDK_WATCH_H

#include <stdint.h>

struct sdk_watch;
struct sdk_watched;

/* NULL: no memory, no thread. */
struct sdk_watch *sdk_watch_new(void);
void sdk_watch_free(struct sdk_watch *w);

/* From now on: at until_ms (CLOCK_MONOTONIC) nothing can be read from the socket any more. NULL:
 * no memory, no descriptor. */
struct sdk_watched *sdk_watch_begin(struct sdk_watch *w, int fd, int64_t until_ms);
/* The socket is left alone again; NULL is fine. */
void sdk_watch_end(struct sdk_watch *w, struct sdk_watched *one);

#endif
