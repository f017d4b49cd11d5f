/* SPDX-License-Identifier: Apache-2.0 */
/* journal_plan - which bytes a journal keeps, and its head. */
#ifndef MBOX_JOURNAL_PLAN_H
#define MBOX_JOURNAL_PLAN_H

#include "journal.h"

/* Begins the deletion of the snapshot's doomed messages; no change to the file yet. NULL:
 * errno. */
struct journal *journal_new(struct mbox *m, const char *op_hex);
/* The same for one piece of the file that belongs to no message. */
struct journal *journal_cut(struct inst *i, const struct location *p, int fd, uint64_t from,
			    uint64_t to);
/* Where the bytes to keep begin in the journal. */
uint64_t journal_payload_at(const struct journal_head *h);

/* ---- for recovery ---------------------------------------------------------------------------- */

/* Reads head, path (PM_PATH_MAX + 1 bytes) and list of j->jfd. False: not a whole journal of ours.
 */
bool journal_load(struct journal *j, char *path);
/* Adds bytes [from, to) of the mailbox to the payload: from step 1 again. 0 or an errno. */
int journal_join(struct journal *j, uint64_t from, uint64_t to);

#endif
