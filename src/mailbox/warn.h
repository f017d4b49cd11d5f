/* SPDX-License-Identifier: Apache-2.0 */
/* warn - the mail to a user whose quota is nearly used up. Null reverse-path; delivered by an
 * errand. */
#ifndef RST_MAILBOX_WARN_H
#define RST_MAILBOX_WARN_H

#include "conf/conf.h"
#include "mailbox/quota.h"
#include "module/backend.h"

/* After quota_after() returned true. Copies its arguments; returns at once. storage: the user's.
 * Any worker. */
void warn_send(struct conf *c, struct backend *storage, const struct pm_user *u,
	       const struct quota_limits *l, const struct pm_stat *now);

#endif
