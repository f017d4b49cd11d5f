/* SPDX-License-Identifier: Apache-2.0 */
/* doomed - is it, before it is cut out?. */
#ifndef MBOX_DOOMED_H
#define MBOX_DOOMED_H

#include "mbox.h"

/* Hashes the doomed messages again, under the MTA's locks, in slices. PM_TEMP: one is not what it
 * was, and the index is no more; or the file changed under our locks. */
int32_t doomed_prove(struct mbox *m, const struct pm_call *call);
void doomed_abandon(struct mbox *m);

#endif
