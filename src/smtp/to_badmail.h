/* SPDX-License-Identifier: Apache-2.0 */
/* to_badmail - the part of a delivery that goes to Badmail (badmail/badmail.h). */
#ifndef RST_SMTP_TO_BADMAIL_H
#define RST_SMTP_TO_BADMAIL_H

#include "smtp/dsession.h"

/* MAIL by SMTP. False: Badmail could not take RETRY mail, so the reply is 451 4.3.1. */
bool to_badmail_door(struct dsession *s, uint64_t octets);

/* Must Badmail get the chunk before the stores do? Then the work is DWORK_TO_BADMAIL,
 * to_badmail_write, which continues with DWORK_WRITE. */
bool to_badmail_wanted(const struct dsession *s);
enum turn to_badmail_write(struct dsession *s);

/* True if a recipient needs Badmail and every failure may go there. */
bool to_badmail_due(const struct dsession *s);
/* True: it was tried, with the outcome in envelope.to_badmail_rc; kept mail counts as delivered.
 * False: return *ret. */
bool to_badmail_commit(struct dsession *s, enum turn *ret);

/* True: nothing is held any more. False: return *ret. */
bool to_badmail_end(struct dsession *s, enum turn *ret);

#endif
