/* SPDX-License-Identifier: Apache-2.0 */
/* watch - shuts a socket down at a given time, for a library that blocks without a limit of ours.
 * There is one thread for each instance, and it ends with it (R8). The watched descriptor is a
 * copy: the library may close its own at any moment, and the number may be another file's by then.
 */
#ifndef SDK_WATCH_H
#define SDK_WATCH_H

#include <stdint.h>

struct sdk_watch;
struct sdk_watched;

/* NULL: no memory, no thread. */
struct sdk_watch *sdk_watch_new(void);
void sdk_watch_free(struct sdk_watch *w);

/* Watches a socket: from until_ms (CLOCK_MONOTONIC) on nothing can be read from it. NULL: no
 * memory, no descriptor. */
struct sdk_watched *sdk_watch_begin(struct sdk_watch *w, int fd, int64_t until_ms);
/* Stops watching the socket; NULL is fine. */
void sdk_watch_end(struct sdk_watch *w, struct sdk_watched *one);

#endif
