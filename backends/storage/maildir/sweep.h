/* SPDX-License-Identifier: Apache-2.0 */
/* sweep - files that deliveries left in tmp/. */
#ifndef MAILDIR_SWEEP_H
#define MAILDIR_SWEEP_H

#include "maildir.h"

/* Removes those that are old enough, some in each session, which has the lock. A mailbox that stays
 * in the cache is looked at once an hour. */
void sweep_tmp(struct mbox *m);

#endif
