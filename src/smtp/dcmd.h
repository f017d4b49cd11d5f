/* SPDX-License-Identifier: Apache-2.0 */
/* dcmd - the commands of LMTP and SMTP in one table: which checks, in which order, and which
 * handler. */
#ifndef RST_SMTP_DCMD_H
#define RST_SMTP_DCMD_H

#include "smtp/dsession.h"

/* Answers exactly once: at once, or by the work that is set. */
enum turn dcmd_run(struct dsession *s, const struct dcommand *c);

#endif
