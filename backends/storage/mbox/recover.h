/* SPDX-License-Identifier: Apache-2.0 */
/* recover - what a crash left. */
#ifndef MBOX_RECOVER_H
#define MBOX_RECOVER_H

#include "mbox.h"

/* Finishes what a crash left of this mailbox; under the MTA's locks. PM_OK: nothing is left;
 * PM_PERM: a conflict. */
int32_t recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd);
/* All journals there are: each under its mailbox' locks; those that are locked wait for the next
 * time. */
void recover_sweep(struct inst *i, const struct pm_call *call);

#endif
