/* SPDX-License-Identifier: Apache-2.0 */
/* step - what POP3 gives to the one loop (session/talk.h), and to the acceptor: birth, notes,
 * lines, the work that was begun, the end. */
#ifndef RST_POP3_STEP_H
#define RST_POP3_STEP_H

#include "pop3/pop3.h"

/* net/listener.h: struct listener's session_new. */
struct task *pop3_session_new(const struct listener *l, int fd, const struct peer *p);

#endif
