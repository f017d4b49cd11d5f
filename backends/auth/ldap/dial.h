/* SPDX-License-Identifier: Apache-2.0 */
/* dial - a connected socket to a server, in bounded time. */
#ifndef LDAP_DIAL_H
#define LDAP_DIAL_H

#include <stdint.h>

#include "ask.h"

/* PM_OK: *ret_fd is connected, non-blocking, closed on exec. PM_DOWN, PM_TIMEOUT, PM_CANCELLED:
 * call->error says why. */
int32_t dial(const struct ask *a, const struct server *server, int *ret_fd);

#endif
