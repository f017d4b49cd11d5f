/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_watch - the admin thread waits until the retries that it started have ended. Threads:
 * any. */
#ifndef RST_BADMAIL_BADMAIL_WATCH_H
#define RST_BADMAIL_BADMAIL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct badmail_watch;
/* NULL: no memory. */
struct badmail_watch *badmail_watch_new(void);
/* One more retry to wait for, and its end. w may be NULL. */
void badmail_watch_add(struct badmail_watch *w);
void badmail_watch_tell(struct badmail_watch *w, bool done);
/* Waits until all retries that were started with w have ended, at most ms, and releases w.
 * *ret_done, *ret_failed: items that were delivered, and that were not; those still at work count
 * as neither. */
void badmail_watch_wait(struct badmail_watch *w, int64_t ms, unsigned *ret_done,
			unsigned *ret_failed);

#endif
