/* SPDX-License-Identifier: Apache-2.0 */
/* commit - QUIT. */
#ifndef MBOX_COMMIT_H
#define MBOX_COMMIT_H

#include "mbox.h"

int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);

#endif
