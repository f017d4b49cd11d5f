/* SPDX-License-Identifier: Apache-2.0 */
/* store - the mailboxes' half of the shim. */
#ifndef FAULT_STORE_H
#define FAULT_STORE_H

#include <restante/module.h>

extern const struct pm_storage fault_storage;

#endif
