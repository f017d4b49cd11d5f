/* SPDX-License-Identifier: Apache-2.0 */
/* deliver - the delivery half of the shim. */
#ifndef FAULT_DELIVER_H
#define FAULT_DELIVER_H

#include <restante/module.h>

extern const struct pm_delivery fault_delivery;

#endif
