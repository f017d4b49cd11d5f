/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailboxes - verbs about mailboxes: quota, expire, undelete. They start a sweep (upkeep/sweep.h)
 * and answer with its number at once; `job` tells how far it is. Nothing here waits. A new
 * reference each.
 */
#ifndef RST_ADMIN_MAILBOXES_H
#define RST_ADMIN_MAILBOXES_H

#include <jansson.h>

json_t *mailboxes_job(const json_t *request);
json_t *mailboxes_expire(const json_t *request);
json_t *mailboxes_undelete(const json_t *request);
json_t *mailboxes_quota(const json_t *request);

#endif
