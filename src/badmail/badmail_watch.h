/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_watch - somebody waits for retries to end: the admin thread. Threads: any. */
#ifndef RST_BADMAIL_BADMAIL_WATCH_H
#define RST_BADMAIL_BADMAIL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct badmail_watch;
/* NULL: no memory. */
struct badmail_watch *badmail_watch_new(void);
/* One more retry that it waits for, and its end. w may be NULL. */
void badmail_watch_add(struct badmail_watch *w);
void badmail_watch_tell(struct badmail_watch *w, bool done);
/* Waits until all that were started with it have ended, at most ms; then gives it back.
 * *ret_done, *ret_failed: items that were delivered, and that were not; those that are still at
 * work are neither. */
void badmail_watch_wait(struct badmail_watch *w, int64_t ms, unsigned *ret_done,
			unsigned *ret_failed);

#endif
