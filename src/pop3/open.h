/* SPDX-License-Identifier: Apache-2.0 */
/* open - the maildrop of an account that was accepted: its claim, its opening, its table. */
#ifndef RST_POP3_OPEN_H
#define RST_POP3_OPEN_H

#include "pop3/pop3.h"

/* s->user is accepted and its storage known; login_work continues with open_work. */
enum turn open_begin(struct pop3 *s);
enum turn open_work(struct pop3 *s);
/* The message table is no longer counted against tables_max. */
void open_table_free(struct pop3 *s);

#endif
