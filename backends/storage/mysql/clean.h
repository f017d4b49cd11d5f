/* SPDX-License-Identifier: Apache-2.0 */
/* clean - what the tick does: hidden mail whose time is over, what deliveries left, garbage. */
#ifndef MYSQL_CLEAN_H
#define MYSQL_CLEAN_H

#include <restante/module.h>

int32_t clean_tick(void *inst, const struct pm_call *call);

#endif
