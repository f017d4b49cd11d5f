/* SPDX-License-Identifier: Apache-2.0 */
/* scan - from a file to a snapshot; under the MTA's locks. */
#ifndef MBOX_SCAN_H
#define MBOX_SCAN_H

#include "mbox.h"

/* Takes the snapshot in slices: PM_AGAIN, PM_OK. With an index of the file as it is nothing is
 * read; with one of the file before mail was appended each message is compared. */
int32_t scan_run(struct mbox *m, const struct pm_call *call);
void scan_reset(struct mbox *m);

#endif
