/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - from stored bytes to the wire: every line end becomes CRLF, a dot at the beginning of a
 * line is doubled, TOP stops after n lines of the body. Pure and resumable at every byte. RFC 1939
 * section 3 (dots), section 11 (octets), section 7 (TOP).
 */
#ifndef RST_POP3_WIRE_H
#define RST_POP3_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_ALL UINT64_MAX

struct wire {
	bool at_bol;  /* next byte begins a line */
	bool last_cr; /* the last byte was CR, held back until we know what follows */
	bool in_body; /* the blank line after the header was seen */
	bool done;    /* TOP: enough */
	uint64_t lines_left;
	/* so far, as LIST counts: with CRLF line ends, without stuffing and final dot */
	uint64_t octets;
};

/* body_lines: WIRE_ALL for RETR. */
void wire_init(struct wire *w, uint64_t body_lines);

/*
 * Converts in[0..n) into out. The caller guarantees that cap >= 2 * n + 2, so all of it is
 * consumed. Returns the number of bytes written: none once `done` is set.
 */
size_t wire_feed(struct wire *w, const void *in, size_t n, char *out, size_t cap);

/*
 * Ends the message: writes what was held back, a line end if the last line has none, for TOP the
 * blank line if the header has none after it, and ".\r\n". At most 8 bytes.
 */
size_t wire_end(struct wire *w, char *out, size_t cap);

#endif
