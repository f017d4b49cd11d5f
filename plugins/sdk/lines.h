/* SPDX-License-Identifier: Apache-2.0 */
/* lines - from the CRLF of the wire to the LF of files, so that MAIL AS BYTES (module.h) gives the
 * same lines back: a line that itself ends in a CR keeps CRLF as its end, since its CR would be
 * taken for a part of it otherwise. Pure. */
#ifndef SDK_LINES_H
#define SDK_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct sdk_lines {
	bool crlf;    /* set by the caller: keep CRLF */
	bool last_cr; /* held back: it may be dropped */
	char last_out;
};

/* out has room for n + 1 bytes. Returns how many were written. */
size_t sdk_lines_feed(struct sdk_lines *l, const char *in, size_t n, char *out);
/* Gives the byte that was held back: a CR or nothing. */
size_t sdk_lines_end(struct sdk_lines *l, char *out);

#endif
