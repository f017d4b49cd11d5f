/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_count - all items are counted when the totals cannot be trusted. */
#ifndef RST_BADMAIL_BADMAIL_COUNT_H
#define RST_BADMAIL_BADMAIL_COUNT_H

#include <stdbool.h>

#include "badmail/badmail_state.h"
#include "conf/conf.h"

/* Makes the totals from the items on disk; halves of items go to lost/. False: a directory cannot
 * be read, errno has why and ret_path (BADMAIL_PATH_MAX) which; the totals are as they were. Under
 * the store's lock. */
bool badmail_count(const struct conf_badmail *b, struct badmail_state *s, char *ret_path);

#endif
