/* SPDX-License-Identifier: Apache-2.0 */
/* publish - a delivery becomes mail. */
#ifndef MYSQL_PUBLISH_H
#define MYSQL_PUBLISH_H

#include <restante/module.h>

int32_t publish_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride);
void publish_abort(void *dlv, const struct pm_call *call);

#endif
