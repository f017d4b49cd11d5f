/* SPDX-License-Identifier: Apache-2.0 */
/* remove - unlinking files. */
#ifndef MAILDIR_REMOVE_H
#define MAILDIR_REMOVE_H

#include "snap.h"

/* Unlinks the file of an item, and files that are proven to be the same. 0 or an errno; ENOENT: it
 * was not found. */
int remove_item(struct mbox *m, struct item *it);
/* Removes hidden messages whose time is over from the snapshot and, with the lock, from the disk.
 */
void remove_hidden(struct mbox *m);

#endif
