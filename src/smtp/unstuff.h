/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unstuff - turns the octets after DATA back into a message: RFC 5321 section 4.5.2. Pure and
 * resumable.
 *
 * Only CRLF.CRLF ends it; the CRLF of the DATA line itself counts. LF.LF, CR.CR, LF.CRLF and all
 * other forms are text, and a dot is removed only after a CRLF: octets that another server would
 * have taken for the end, and commands smuggled after them, stay inside the message.
 */
#ifndef RST_SMTP_UNSTUFF_H
#define RST_SMTP_UNSTUFF_H

#include <stdbool.h>
#include <stddef.h>

enum unstuff_at { UNSTUFF_BOL, UNSTUFF_TEXT, UNSTUFF_CR, UNSTUFF_DOT, UNSTUFF_DOT_CR };

struct unstuff {
	enum unstuff_at at; /* zeroed: at the beginning of a line */
	bool ended;
};

/* Takes up to n octets and writes at most n + 1 to out; returns how many. *ret_used were taken:
 * all, or those up to the end, and then u->ended is set. */
size_t unstuff_feed(struct unstuff *u, const char *in, size_t n, size_t *ret_used, char *out);

#endif
