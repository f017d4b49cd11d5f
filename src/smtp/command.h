/* SPDX-License-Identifier: Apache-2.0 */
/* command - the commands of LMTP and SMTP in one table; each answers exactly once, or sets the work
 * that does. */
#ifndef RST_SMTP_COMMAND_H
#define RST_SMTP_COMMAND_H

#include "smtp/dsession.h"

enum turn command_run(struct dsession *s, const struct dcommand *c);

#endif
