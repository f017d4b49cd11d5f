/* SPDX-License-Identifier: Apache-2.0 */
/* compact - rewriting the ledger. */
#ifndef MAILDIR_COMPACT_H
#define MAILDIR_COMPACT_H

#include "ledger.h"
#include "snap.h"

/* The number of lines a rewrite would keep, of a ledger in which the scan has marked the messages
 * it found. */
size_t compact_useful(const struct snap *s, struct ledger *l, int64_t now_ms);
/* Rewrites the ledger if most of it is of no use. False: there was no need. For exclusive openers
 * only. */
bool compact_ledger(struct mbox *m);

#endif
