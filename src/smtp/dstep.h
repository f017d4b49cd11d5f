/* SPDX-License-Identifier: Apache-2.0 */
/* dstep - what delivery provides for the acceptor (a new session) and for the one loop
 * (session/talk.h): notes, lines, octets, work, the end. */
#ifndef RST_SMTP_DSTEP_H
#define RST_SMTP_DSTEP_H

#include "smtp/dsession.h"

/* net/listener.h: struct listener's session_new. */
struct task *delivery_session_new(const struct listener *l, int fd, const struct peer *p);

#endif
