/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_seen - the state page as this process saw it last, for the door and the metrics, which do
 * not ask the disk. Threads: any.
 */
#ifndef RST_BADMAIL_BADMAIL_SEEN_H
#define RST_BADMAIL_BADMAIL_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "badmail/badmail_state.h"

void badmail_seen_remember(const struct badmail_state *s);
void badmail_seen_remember_oldest(const int64_t ms[2]);
/* False: nothing is known yet. ret_oldest_ms: by class, UTC, up to a second old; 0: there is none.
 * It may be NULL. */
bool badmail_seen_get(struct badmail_state *ret, int64_t ret_oldest_ms[2]);

#endif
