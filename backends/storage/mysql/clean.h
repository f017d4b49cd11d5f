/* SPDX-License-Identifier: Apache-2.0 */
/* clean - the tick: hidden mail whose time is over, abandoned deliveries, garbage. */
#ifndef MYSQL_CLEAN_H
#define MYSQL_CLEAN_H

#include <restante/module.h>

int32_t clean_tick(void *inst, const struct pm_call *call);

#endif
