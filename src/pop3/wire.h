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
	bool in_body; /* header's blank line was seen */
	bool done;    /* TOP: enough */
	uint64_t lines_left;
	/* on the wire so far, as LIST counts: CRLF line ends, no stuffing, no final dot */
	uint64_t octets;
};

/* body_lines: WIRE_ALL for RETR. */
void wire_init(struct wire *w, uint64_t body_lines);

/*
 * Converts in[0..n) into out; consumes all of it if cap >= 2 * n + 2, which the caller sees to.
 * Returns bytes written. After `done` nothing more is written.
 */
size_t wire_feed(struct wire *w, const void *in, size_t n, char *out, size_t cap);

/*
 * End of the message: what was held back, a missing last line end, for TOP a missing blank line
 * behind the header, and ".\r\n". At most 8 bytes.
 */
size_t wire_end(struct wire *w, char *out, size_t cap);

#endif
