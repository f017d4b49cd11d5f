/* SPDX-License-Identifier: Apache-2.0 */
/* keep - what of a message goes to Badmail; badmail.h does the work. */
#ifndef RST_SMTP_TO_BADMAIL_H
#define RST_SMTP_TO_BADMAIL_H

#include "smtp/dsession.h"

/* MAIL by SMTP: false: 451 4.3.1, RETRY mail could not be taken on. */
bool keep_door(struct dsession *s, uint64_t octets);

/* Must Badmail have the chunk before the stores? Then DWORK_KEEP: keep_write, which goes on with
 * DWORK_WRITE. */
bool keep_wanted(const struct dsession *s);
enum move keep_write(struct dsession *s);

/* Is there something to keep, and is all that failed of that kind? */
bool keep_due(const struct dsession *s);
/* True: tried; envelope.keep_rc says with what outcome, and what is kept counts as delivered.
 * False: *ret is a move. */
bool keep_commit(struct dsession *s, enum move *ret);

/* True: nothing is held any more. False: *ret is a move. */
bool keep_end(struct dsession *s, enum move *ret);

#endif
