/* SPDX-License-Identifier: Apache-2.0 */
/* mailboxes - the verbs expire, undelete and quota. The exit code each. */
#ifndef RST_CTL_MAILBOXES_H
#define RST_CTL_MAILBOXES_H

#include "ctl/options.h"

int mailboxes_expire(const struct ctl *c);
int mailboxes_undelete(const struct ctl *c);
int mailboxes_quota(const struct ctl *c);

#endif
