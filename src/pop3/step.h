/* SPDX-License-Identifier: Apache-2.0 */
/* step - what POP3 provides for the acceptor (a new session) and for the one loop
 * (session/talk.h): notes, lines, work, the end. */
#ifndef RST_POP3_STEP_H
#define RST_POP3_STEP_H

#include "pop3/pop3.h"

/* net/listener.h: struct listener's session_new. */
struct task *pop3_session_new(const struct listener *l, int fd, const struct peer *p);

#endif
