/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_busy - the items that are being tried now. Threads: any. */
#ifndef RST_BADMAIL_BADMAIL_BUSY_H
#define RST_BADMAIL_BADMAIL_BUSY_H

#include <stdbool.h>
#include <stdint.h>

#include "badmail/badmail_id.h"

/* False: it is being tried already, or as many as may be are. */
bool badmail_busy_take(enum badmail_class cls, uint64_t id);
bool badmail_busy_has(enum badmail_class cls, uint64_t id);
void badmail_busy_end(enum badmail_class cls, uint64_t id);

#endif
