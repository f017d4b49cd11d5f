/* SPDX-License-Identifier: Apache-2.0 */
/* update - QUIT: the commit, and the end of the visit to the mailbox. */
#ifndef RST_POP3_UPDATE_H
#define RST_POP3_UPDATE_H

#include "pop3/pop3.h"

/* QUIT, in both states. */
enum turn update_quit(struct pop3 *s, const struct command *c);
/* Is there anything to commit? */
bool update_commits(const struct pop3 *s);
enum turn update_commit(struct pop3 *s);
/* The mailbox goes home; then QUIT's answer, or the end. */
enum turn update_close(struct pop3 *s);

#endif
