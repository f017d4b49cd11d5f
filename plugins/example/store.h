/* SPDX-License-Identifier: Apache-2.0 */
/* store - a session's view of a mailbox. */
#ifndef RAM_STORE_H
#define RAM_STORE_H

#include <restante/module.h>

extern const struct pm_storage ram_storage;

#endif
