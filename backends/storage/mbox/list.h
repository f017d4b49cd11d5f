/* SPDX-License-Identifier: Apache-2.0 */
/* list - totals, list, removal. */
#ifndef MBOX_LIST_H
#define MBOX_LIST_H

#include "mbox.h"

void list_count_free(void *work); /* the work_free of sdk_totals_new */
int32_t list_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_stat *ret);
int32_t list_boxes(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		   size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t list_delete(void *inst, const struct pm_call *call, const struct pm_user *user);
int32_t list_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		   struct pm_str *ret_place);

#endif
