/* SPDX-License-Identifier: Apache-2.0 */
/* delivery - mail coming in over LMTP and SMTP, for the one who opens listeners. */
#ifndef RST_SMTP_DELIVERY_H
#define RST_SMTP_DELIVERY_H

#include "net/listener.h"

/* net/listener.h: struct listener's session_new. */
struct task *delivery_session_new(const struct listener *l, int fd, const struct peer *p);

#endif
