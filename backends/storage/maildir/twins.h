/* SPDX-License-Identifier: Apache-2.0 */
/* twins - files that share a base name. */
#ifndef MAILDIR_TWINS_H
#define MAILDIR_TWINS_H

#include "held.h"

/* Which message each file is, from *at on: sets the items' numbers, and l learns what it did not
 * know. PM_AGAIN: later than until_ms. */
int32_t twins_run(const struct source *src, struct ledger *l, size_t *at);
/* What l learnt goes to its file, before anybody hears of it. Exclusive openers only. */
void twins_keep(const struct source *src);

#endif
