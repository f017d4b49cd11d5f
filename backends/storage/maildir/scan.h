/* SPDX-License-Identifier: Apache-2.0 */
/* scan - from directories to a snapshot. */
#ifndef MAILDIR_SCAN_H
#define MAILDIR_SCAN_H

#include "maildir.h"

/* Reads ledger and directories in slices; an exclusive opener finishes interrupted commits first.
 * PM_OK: the caller owns *ret_snap. PM_AGAIN: call again with *sc. */
int32_t scan_run(struct inst *i, const struct pm_call *call, int fd, uint32_t flags,
		 struct scanner **sc, struct snap **ret_snap);
void scan_free(struct scanner *sc);

#endif
