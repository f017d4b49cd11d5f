/* SPDX-License-Identifier: Apache-2.0 */
/* deliver - mail on its way into mailboxes. */
#ifndef RAM_DELIVER_H
#define RAM_DELIVER_H

#include <restante/module.h>

extern const struct pm_delivery ram_delivery;

#endif
