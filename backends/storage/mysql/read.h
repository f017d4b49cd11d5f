/* SPDX-License-Identifier: Apache-2.0 */
/* read - one message, read in pieces. */
#ifndef MYSQL_READ_H
#define MYSQL_READ_H

#include <restante/module.h>

int32_t read_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t read_some(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void read_close(void *msg, const struct pm_call *call);

#endif
