/* SPDX-License-Identifier: Apache-2.0 */
/* domain - totals of a domain. */
#ifndef MYSQL_DOMAIN_H
#define MYSQL_DOMAIN_H

#include <restante/module.h>

int32_t domain_stat(void *inst, const struct pm_call *call, struct pm_str domain,
		    struct pm_stat *ret_stat);

#endif
