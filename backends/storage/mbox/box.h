/* SPDX-License-Identifier: Apache-2.0 */
/* box - open, info, close. */
#ifndef MBOX_BOX_H
#define MBOX_BOX_H

#include "mbox.h"

#define BOX_OPEN_COUNT 0x80000000u /* beside PM_OPEN_READONLY: for totals */

int32_t box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
		 uint64_t *ret_count, void **ret_mbox);
int32_t box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		 uint32_t want, struct pm_msg *ret);
void box_close(void *mbox, const struct pm_call *call);

#endif
