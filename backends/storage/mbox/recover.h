/* SPDX-License-Identifier: Apache-2.0 */
/* recover - finishing what a crash interrupted. */
#ifndef MBOX_RECOVER_H
#define MBOX_RECOVER_H

#include "mbox.h"

/* Finishes an operation on this mailbox that a crash interrupted; under the MTA's locks. PM_OK:
 * nothing is left; PM_PERM: a conflict. */
int32_t recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd);
/* Finishes all journals, each under the locks of its mailbox. Those whose mailbox is locked wait
 * for the next time. */
void recover_sweep(struct inst *i, const struct pm_call *call);

#endif
