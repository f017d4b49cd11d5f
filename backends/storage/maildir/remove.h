/* SPDX-License-Identifier: Apache-2.0 */
/* remove - files that go, recovery. */
#ifndef MAILDIR_REMOVE_H
#define MAILDIR_REMOVE_H

#include "ledger.h"
#include "snap.h"

/* Unlinks the file of an item, and what is proven to be the same. 0 or an errno; ENOENT: it was
 * not found. */
int remove_item(struct mbox *m, struct item *it);
/* Finishes what an earlier session committed. Exclusive openers only. */
void remove_unfinished(struct inst *i, int fd, struct ledger *l);
/* Hidden messages whose time is over are seen by nobody; with the lock they go now. */
void remove_hidden(struct mbox *m);

#endif
