/* SPDX-License-Identifier: Apache-2.0 */
/* twins - files that share a base name. */
#ifndef MAILDIR_TWINS_H
#define MAILDIR_TWINS_H

#include "held.h"

/* Finds out which message each file is, from *at on: sets the items' numbers, and adds to l what it
 * did not know. PM_AGAIN: it is later than until_ms. */
int32_t twins_run(const struct source *src, struct ledger *l, size_t *at);
/* Writes what was added to the ledger to its file, before any client sees it. For exclusive openers
 * only. */
void twins_keep(const struct source *src);

#endif
