/* SPDX-License-Identifier: Apache-2.0 */
/* store - gives the message to the stores. */
#ifndef RST_SMTP_STORE_H
#define RST_SMTP_STORE_H

#include "smtp/dsession.h"

/* Writes the chunk, and does everything else that is due. */
enum turn store_work(struct dsession *s);
/* Gives the handles back; then the session goes on, or ends. */
enum turn store_abort(struct dsession *s);

#endif
