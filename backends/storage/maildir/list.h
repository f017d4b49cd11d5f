/* SPDX-License-Identifier: Apache-2.0 */
/* list - totals, list, removal. */
#ifndef MAILDIR_LIST_H
#define MAILDIR_LIST_H

#include "maildir.h"

/* The work_free of sdk_totals_new. */
void list_count_free(void *work);
int32_t list_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_stat *ret);
int32_t list_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		   struct pm_str *ret_place);
int32_t list_boxes(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		   size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t list_delete(void *inst, const struct pm_call *call, const struct pm_user *user);

#endif
