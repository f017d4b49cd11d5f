/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stuff - a message as programs hand it on, made ready to follow DATA: every line end becomes
 * CRLF, a dot that begins a line is doubled (RFC 5321 section 4.5.2). The other way round is
 * unstuff.h. Pure and resumable. A CR without LF is left alone: the server decides about it.
 */
#ifndef RST_PIPE_STUFF_H
#define RST_PIPE_STUFF_H

#include <stddef.h>

#define STUFF_END 5 /* octets of the end at most */

enum stuff_at { STUFF_BOL, STUFF_TEXT, STUFF_CR };

struct stuff {
	enum stuff_at at; /* zeroed: at the beginning of a line */
};

/* Takes n octets of in and writes at most 2n to out; returns how many. */
size_t stuff_feed(struct stuff *s, const char *in, size_t n, char *out);
/* After the last octet: a line end if the last one is missing, and the dot that ends it all. */
size_t stuff_end(const struct stuff *s, char out[STUFF_END]);

#endif
