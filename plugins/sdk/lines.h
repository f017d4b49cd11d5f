/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines - from the wire's CRLF to the LF of files, so that MAIL AS BYTES (module.h) gives the same
 * wire lines back: a line that itself ends in a CR keeps CRLF as its end, or its CR would be taken
 * for a part of it. Pure.
 */
#ifndef SDK_LINES_H
#define SDK_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct sdk_lines {
	bool crlf;    /* set before: keep CRLF */
	bool last_cr; /* held back: it may be dropped */
	char last_out;
};

/* out: room for n + 1 bytes. Returns how many were written. */
size_t sdk_lines_feed(struct sdk_lines *l, const char *in, size_t n, char *out);
/* What was held back: a CR or nothing. */
size_t sdk_lines_end(struct sdk_lines *l, char *out);

#endif
