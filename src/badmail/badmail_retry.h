/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_retry - an item is tried again, in the background. */
#ifndef RST_BADMAIL_BADMAIL_RETRY_H
#define RST_BADMAIL_BADMAIL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "badmail/badmail_id.h"
#include "badmail/badmail_watch.h"
#include "conf/conf.h"

/* Tries one item now, in the background; false: it is being tried already, or there is no slot.
 * watch may be NULL. */
bool badmail_retry_start(struct conf *c, enum badmail_class cls, uint64_t id,
			 struct badmail_watch *watch);

#endif
