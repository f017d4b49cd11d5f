/* SPDX-License-Identifier: Apache-2.0 */
/* snap - a session: open, info, close. */
#ifndef MYSQL_SNAP_H
#define MYSQL_SNAP_H

#include <restante/module.h>

int32_t snap_open(void *inst, const struct pm_call *call, const struct pm_user *user,
		  uint32_t flags, uint64_t *ret_count, void **ret_mbox);
int32_t snap_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		  uint32_t want, struct pm_msg *ret);
void snap_close(void *mbox, const struct pm_call *call);

#endif
