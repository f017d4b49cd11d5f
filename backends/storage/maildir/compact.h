/* SPDX-License-Identifier: Apache-2.0 */
/* compact - the ledger, written anew. */
#ifndef MAILDIR_COMPACT_H
#define MAILDIR_COMPACT_H

#include "ledger.h"
#include "snap.h"

/* How many lines would stay, of a ledger in which the scan has marked what it found? */
size_t compact_useful(const struct snap *s, struct ledger *l, int64_t now_ms);
/* Writes the ledger anew, if most of it is of no use. False: there was no need. Exclusive
 * openers only. */
bool compact_ledger(struct mbox *m);

#endif
