/* SPDX-License-Identifier: Apache-2.0 */
/* mailboxes - verbs about what is kept: volumes, quotas, retention. Private to src/admin; a new
 * reference each. */
#ifndef RST_ADMIN_MAILBOXES_H
#define RST_ADMIN_MAILBOXES_H

#include <jansson.h>

json_t *mailboxes_volumes(const json_t *request);
json_t *mailboxes_job(const json_t *request);
json_t *mailboxes_expire(const json_t *request);
json_t *mailboxes_undelete(const json_t *request);
json_t *mailboxes_quota(const json_t *request);

#endif
