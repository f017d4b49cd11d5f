/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_verbs - the verbs expire, undelete and quota. The exit code each. */
#ifndef RST_CTL_MAILBOX_VERBS_H
#define RST_CTL_MAILBOX_VERBS_H

#include "ctl/options.h"

int mailbox_verbs_expire(const struct ctl *c);
int mailbox_verbs_undelete(const struct ctl *c);
int mailbox_verbs_quota(const struct ctl *c);

#endif
