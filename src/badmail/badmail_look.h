/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_look - once a second: which items are due, which are over age? */
#ifndef RST_BADMAIL_BADMAIL_LOOK_H
#define RST_BADMAIL_BADMAIL_LOOK_H

#include <stdint.h>

/* Acceptor's tick, cheap: starts an errand that starts due retries, removes items over age and
 * warns. The last retries end by themselves with the server; one that was cut is tried again. */
void badmail_look_tick(int64_t now_ms);
/* Any thread: the next tick looks. */
void badmail_look_soon(void);

#endif
