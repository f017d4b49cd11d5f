/* SPDX-License-Identifier: Apache-2.0 */
/* message - reading, beside other programs. */
#ifndef MBOX_MESSAGE_H
#define MBOX_MESSAGE_H

#include "mbox.h"

int32_t message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void message_close(void *msg, const struct pm_call *call);

#endif
