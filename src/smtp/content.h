/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content - examines a message while it passes: bare CR and LF, long lines, 8-bit, NUL, the size of
 * its header, how often it was received, and to whom it was delivered before. A bare LF becomes
 * CRLF; a last line without an end gets one. Pure and resumable.
 */
#ifndef RST_SMTP_CONTENT_H
#define RST_SMTP_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_LINE_MAX 998  /* RFC 5322 section 2.1.1, without its CRLF */
#define CONTENT_FIELD_MAX 512 /* octets of a header field that are looked at */

/* Bits of `seen`. */
#define CONTENT_BARE_LF 1u
#define CONTENT_BARE_CR 2u
#define CONTENT_LONG_LINE 4u
#define CONTENT_EIGHT_BIT 8u
#define CONTENT_NUL 16u

struct content {
	unsigned seen;
	uint64_t octets;        /* passed so far */
	uint64_t header_octets; /* of its whole lines */
	uint32_t received;      /* Received fields */
	bool body;              /* the header is over */
	/* Called for a Delivered-To field below a Received one (the client itself may have put one
	 * on top), with the address as it stands, without angle brackets. */
	void (*delivered_to)(void *ctx, const char *p, size_t n);
	void *ctx;
	/* where it is */
	bool cr;            /* the last octet was a CR */
	size_t line_octets; /* of this line */
	size_t field_n;
	char field[CONTENT_FIELD_MAX];
};

/* Begins zeroed, with delivered_to and ctx set. Writes at most 2n octets to out; returns how
 * many. */
size_t content_feed(struct content *c, const char *in, size_t n, char *out);
/* Octets of the header so far. */
uint64_t content_header(const struct content *c);
/* After the last octet: writes the end that the last line lacks, at most 2 octets; returns how
 * many. */
size_t content_end(struct content *c, char *out);

#endif
