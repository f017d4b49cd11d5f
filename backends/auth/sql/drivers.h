/* SPDX-License-Identifier: Apache-2.0 */
/* drivers - the drivers of this build. */
#ifndef SQL_DRIVERS_H
#define SQL_DRIVERS_H

#include "driver.h"

extern const struct sql_driver sql_mysql, sql_pgsql, sql_sqlite;
/* The driver of this name; NULL: this build has none. */
const struct sql_driver *drivers_find(struct pm_str name);

#endif
