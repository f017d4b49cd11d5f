/* SPDX-License-Identifier: Apache-2.0 */
/* domain - totals of a domain. */
#ifndef MYSQL_DOMAIN_H
#define MYSQL_DOMAIN_H

#include <stddef.h>

#include <restante/module.h>

#include "box.h"

/* Writes the name as the tables have it, A to Z in lower case, and returns its length; a name that
 * is too long is cut. */
size_t domain_key(struct pm_str domain, char to[DOMAIN_MAX]);
int32_t domain_stat(void *inst, const struct pm_call *call, struct pm_str domain,
		    struct pm_stat *ret_stat);

#endif
