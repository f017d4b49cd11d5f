/* SPDX-License-Identifier: Apache-2.0 */
/* store - the message goes to the stores. */
#ifndef RST_SMTP_STORE_H
#define RST_SMTP_STORE_H

#include "smtp/dsession.h"

/* The chunk, and all else that is due. */
enum turn store_work(struct dsession *s);
/* Handles go back; then the session goes on, or ends. */
enum turn store_abort(struct dsession *s);

#endif
