/* SPDX-License-Identifier: Apache-2.0 */
/* deliver - delivery. */
#ifndef MBOX_DELIVER_H
#define MBOX_DELIVER_H

#include <restante/module.h>

int32_t deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
		      void **ret_dlv);
int32_t deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt);
int32_t deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n);
int32_t deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret,
			size_t stride);
int32_t deliver_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride);
void deliver_abort(void *dlv, const struct pm_call *call);

#endif
