/* SPDX-License-Identifier: Apache-2.0 */
/* dstep - what delivery gives to the one loop (session/talk.h), and to the acceptor: birth, notes,
 * lines, octets, the work that was begun, the end. */
#ifndef RST_SMTP_DSTEP_H
#define RST_SMTP_DSTEP_H

#include "smtp/dsession.h"

/* net/listener.h: struct listener's session_new. */
struct task *delivery_session_new(const struct listener *l, int fd, const struct peer *p);

#endif
