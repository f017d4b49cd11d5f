/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this build. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "drivers.h"

#include "conf.h"
#include "driver.h"

const struct sql_driver *
drivers_find(struct pm_str name)
{
	static const struct sql_driver *const all[] = {
#ifdef HAVE_MYSQL
		&sql_mysql,
#endif
#ifdef HAVE_PGSQL
		&sql_pgsql,
#endif
#ifdef HAVE_SQLITE
		&sql_sqlite,
#endif
	};

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		if (sdk_str_is(name, all[k]->name))
			return all[k];
	return NULL;
}
