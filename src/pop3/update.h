/* SPDX-License-Identifier: Apache-2.0 */
/* update - QUIT: commits, and gives the mailbox back. */
#ifndef RST_POP3_UPDATE_H
#define RST_POP3_UPDATE_H

#include "pop3/pop3.h"

/* QUIT, in both states. */
enum turn update_quit(struct pop3 *s, const struct command *c);
/* Is there anything to commit? */
bool update_commits(const struct pop3 *s);
enum turn update_commit(struct pop3 *s);
/* Gives the mailbox back; QUIT's answer follows, or the end. */
enum turn update_close(struct pop3 *s);

#endif
