/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_retry - items are tried again, and those over age go, in the background. */
#ifndef RST_BADMAIL_BADMAIL_RETRY_H
#define RST_BADMAIL_BADMAIL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "badmail/badmail_id.h"
#include "badmail/badmail_watch.h"
#include "conf/conf.h"

/* Acceptor's tick, cheap: starts errands: due retries, items over age, warnings. The last retries
 * end by themselves with the server; one that was cut is tried again. */
void badmail_retry_tick(int64_t now_ms);
/* Tries one item now, in the background; false: it is being tried already, or there is no slot.
 * watch may be NULL. */
bool badmail_retry_start(struct conf *c, enum badmail_class cls, uint64_t id,
			 struct badmail_watch *watch);

#endif
