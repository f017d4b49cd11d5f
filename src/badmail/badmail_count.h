/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_count - all items are counted when the totals cannot be trusted. */
#ifndef RST_BADMAIL_BADMAIL_COUNT_H
#define RST_BADMAIL_BADMAIL_COUNT_H

#include "badmail/badmail_state.h"
#include "conf/conf.h"

/* Makes the totals from the items on disk; halves of items are removed. Under the store's lock. */
void badmail_count(const struct conf_badmail *b, struct badmail_state *s);

#endif
