/* SPDX-License-Identifier: Apache-2.0 */
/* commit - deletions and marks. */
#ifndef MAILDIR_COMMIT_H
#define MAILDIR_COMMIT_H

#include "maildir.h"

/* Writes to the ledger what the session learnt: sizes and new identities. */
void commit_learnt(struct mbox *m);
int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);

#endif
