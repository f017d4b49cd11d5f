/* SPDX-License-Identifier: Apache-2.0 */
/* recover - finishing the commits of earlier sessions. For exclusive openers only. */
#ifndef MAILDIR_RECOVER_H
#define MAILDIR_RECOVER_H

#include "ledger.h"
#include "maildir.h"

struct recovery;

/* Unlinks the files of messages that committed groups of the ledger deleted, in slices. PM_AGAIN:
 * *r goes on with it. PM_OK: as far as it is possible now; *r is NULL. */
int32_t recover_run(struct inst *i, int fd, struct ledger *l, struct recovery **r);
void recover_free(struct recovery *r);

#endif
