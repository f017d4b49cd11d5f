/* SPDX-License-Identifier: Apache-2.0 */
/* answer - the outcome of a message: counted, logged, and answered. */
#ifndef RST_SMTP_ANSWER_H
#define RST_SMTP_ANSWER_H

#include "smtp/dsession.h"

/* The outcome is decided: counts and logs it; the replies follow. */
enum turn answer_over(struct dsession *s);
enum turn answer_work(struct dsession *s);

#endif
