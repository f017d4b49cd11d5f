/* SPDX-License-Identifier: Apache-2.0 */
/* xclient - XCLIENT: a trusted server tells for whom it speaks. */
#ifndef RST_SMTP_XCLIENT_H
#define RST_SMTP_XCLIENT_H

#include "smtp/dsession.h"

/* Is the client one of the listed hosts? */
bool xclient_allowed(const struct dsession *s);
/* Runs the command, which came from such a host and outside of a message. */
enum turn xclient_run(struct dsession *s, const struct dcommand *c);

#endif
