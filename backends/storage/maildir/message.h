/* SPDX-License-Identifier: Apache-2.0 */
/* message - counting and reading files. */
#ifndef MAILDIR_MESSAGE_H
#define MAILDIR_MESSAGE_H

#include "snap.h"

/* Counts the octets of a file. The log of a session names a file that cannot be read, and its size
 * is a guess. PM_OK, PM_NOMEM. */
int32_t message_count(struct mbox *m, const struct pm_call *call, struct item *it);
/* The same for the open message, by the file that is being read. */
int32_t message_count_open(struct msg *g, const struct pm_call *call);
bool message_is(const struct msg *g, uint64_t index);
int32_t message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void message_close(void *msg, const struct pm_call *call);

#endif
