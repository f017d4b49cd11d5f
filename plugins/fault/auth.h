/* SPDX-License-Identifier: Apache-2.0 */
/* auth - the accounts' half of the shim. */
#ifndef FAULT_AUTH_H
#define FAULT_AUTH_H

#include <restante/module.h>

extern const struct pm_auth fault_auth;

#endif
