/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - the commands of each state, in two tables. What is not in the table of a state does not
 * exist there. The loop has checked the number of arguments before `run` is called; run may then
 * assume it, and answers exactly once - at once, or when the work it sets is done.
 */
#ifndef RST_POP3_COMMAND_H
#define RST_POP3_COMMAND_H

#include "pop3/pop3.h"

struct command_row {
	enum verb verb;
	unsigned min_args, max_args;
	enum turn (*run)(struct pop3 *s, const struct command *c);
	const char *usage; /* said when the arguments are wrong */
};

#endif
