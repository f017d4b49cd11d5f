/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_trans - the commands of the TRANSACTION state. */
#ifndef RST_POP3_CMD_TRANS_H
#define RST_POP3_CMD_TRANS_H

#include "pop3/command.h"

extern const struct command_row trans_commands[];

/* Called when all sizes are known: the command that waited for them continues. */
enum turn cmd_trans_sized(struct pop3 *s);

#endif
