/* SPDX-License-Identifier: Apache-2.0 */
/* doomed - proving, before messages are cut out, that they are unchanged. */
#ifndef MBOX_DOOMED_H
#define MBOX_DOOMED_H

#include "mbox.h"

/* Hashes the doomed messages again, under the MTA's locks, in slices. PM_TEMP: one of them has
 * changed, and the index was dropped; or the file changed in spite of our locks. */
int32_t doomed_prove(struct mbox *m, const struct pm_call *call);
void doomed_abandon(struct mbox *m);

#endif
