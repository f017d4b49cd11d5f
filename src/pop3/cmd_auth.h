/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_auth - the commands of the AUTHORIZATION state. */
#ifndef RST_POP3_CMD_AUTH_H
#define RST_POP3_CMD_AUTH_H

#include "pop3/command.h"

extern const struct command_row auth_commands[];

/* CAPA, in both states. */
enum turn cmd_auth_capa(struct pop3 *s, const struct command *c);

#endif
