/* SPDX-License-Identifier: Apache-2.0 */
/* intake - receives a message, by DATA or by BDAT. */
#ifndef RST_SMTP_INTAKE_H
#define RST_SMTP_INTAKE_H

#include "smtp/dsession.h"

enum turn intake_data(struct dsession *s);
enum turn intake_bdat(struct dsession *s, uint64_t octets, bool last);
/* `feed` for the loop (session/talk.h). */
enum turn intake_feed(struct dsession *s, const char *p, size_t n, size_t *ret_used);

#endif
