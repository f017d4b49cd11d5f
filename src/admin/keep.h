/* SPDX-License-Identifier: Apache-2.0 */
/* keep - verbs about what is kept: volumes, quotas, retention. Private to src/admin; a new
 * reference each. */
#ifndef RST_ADMIN_KEEP_H
#define RST_ADMIN_KEEP_H

#include <jansson.h>

json_t *keep_volumes(const json_t *request);
json_t *keep_job(const json_t *request);
json_t *keep_expire(const json_t *request);
json_t *keep_undelete(const json_t *request);
json_t *keep_quota(const json_t *request);

#endif
