/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - the commands of each state, in two tables. A command that is not in the table of a
 * state does not exist in that state. The number of arguments is checked before `run` is called, so
 * run may rely on it. It answers exactly once: at once, or when the work that it sets is done.
 */
#ifndef RST_POP3_COMMAND_H
#define RST_POP3_COMMAND_H

#include "pop3/pop3.h"

struct command_row {
	enum verb verb;
	unsigned min_args, max_args;
	enum turn (*run)(struct pop3 *s, const struct command *c);
	const char *usage; /* the reply to wrong arguments */
};

#endif
