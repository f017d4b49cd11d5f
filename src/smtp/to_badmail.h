/* SPDX-License-Identifier: Apache-2.0 */
/* to_badmail - what of a message goes to Badmail; badmail.h does the work. */
#ifndef RST_SMTP_TO_BADMAIL_H
#define RST_SMTP_TO_BADMAIL_H

#include "smtp/dsession.h"

/* MAIL by SMTP: false: 451 4.3.1, RETRY mail could not be taken on. */
bool to_badmail_door(struct dsession *s, uint64_t octets);

/* Must Badmail have the chunk before the stores? Then DWORK_TO_BADMAIL: to_badmail_write, which
 * goes on with DWORK_WRITE. */
bool to_badmail_wanted(const struct dsession *s);
enum turn to_badmail_write(struct dsession *s);

/* Is there something to keep, and is all that failed of that kind? */
bool to_badmail_due(const struct dsession *s);
/* True: tried; envelope.to_badmail_rc says with what outcome, and what is kept counts as delivered.
 * False: *ret is a turn. */
bool to_badmail_commit(struct dsession *s, enum turn *ret);

/* True: nothing is held any more. False: *ret is a turn. */
bool to_badmail_end(struct dsession *s, enum turn *ret);

#endif
