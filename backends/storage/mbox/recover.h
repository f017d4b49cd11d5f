/* SPDX-License-Identifier: Apache-2.0 */
/* recover - finishing what a crash interrupted. */
#ifndef MBOX_RECOVER_H
#define MBOX_RECOVER_H

#include "mbox.h"

struct recovery;

/* Finishes an operation on this mailbox that a crash interrupted; under the MTA's locks. PM_OK:
 * nothing is left; PM_PERM: a conflict; PM_AGAIN: there is more to do, and *recovery knows what, as
 * long as the locks are held. All of the pointers must stay valid meanwhile. */
int32_t recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		    struct held *held, struct recovery **recovery);
/* Forgets what is under way, before the locks are released; the next one begins anew. */
void recover_drop(struct recovery **recovery);
/* Finishes all journals, each under the locks of its mailbox. Those whose mailbox is locked wait
 * for the next time. */
void recover_sweep(struct inst *i, const struct pm_call *call);

#endif
