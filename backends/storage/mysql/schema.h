/* SPDX-License-Identifier: Apache-2.0 */
/* schema - the version of the tables, and upgrades. */
#ifndef MYSQL_SCHEMA_H
#define MYSQL_SCHEMA_H

#include <restante/module.h>

struct db;

int32_t schema_check(struct db *d);
int32_t schema_setup(void *inst, const struct pm_call *call, struct pm_str what);

#endif
