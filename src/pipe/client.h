/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - one message over LMTP (RFC 2033), from standard input to a connected socket. Memory is
 * bounded however large the message. Main thread of a tool.
 */
#ifndef RST_PIPE_CLIENT_H
#define RST_PIPE_CLIENT_H

#include <stddef.h>

#include "pipe/pipein.h"

struct client_mail {
	struct pipein *in; /* open, not empty */
	const struct address *sender;
	const struct address *rcpts;
	size_t n_rcpts;
};

/*
 * Hands it over, and reports on standard error why a recipient does not have it. Returns a code of
 * sysexits.h; 0: each has it. A recipient that is refused before the message is sent stops it for
 * all, so that another try makes no duplicates; when one is refused after it, the others have it
 * all the same. The connection is left open; a caller that ends early closes it, and the server
 * then delivers nothing.
 */
int client_deliver(int fd, const struct client_mail *m);

#endif
