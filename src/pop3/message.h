/* SPDX-License-Identifier: Apache-2.0 */
/* message - RETR and TOP, piece by piece. */
#ifndef RST_POP3_MESSAGE_H
#define RST_POP3_MESSAGE_H

#include "pop3/pop3.h"

/* Both for `verb` and message msg_idx. */
enum turn message_begin(struct pop3 *s);
enum turn message_send(struct pop3 *s);

#endif
