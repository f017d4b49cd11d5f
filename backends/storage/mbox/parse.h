/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - the text of an mbox (RFC 4155): where messages begin and end, what they are, and From_
 * quoting in both directions. Pure; resumable at any byte.
 *
 * A message begins with a From_ line - "From ", somebody, a date as asctime(3) writes it - at the
 * start of the file or behind an empty line. The empty line before the next From_ line, or before
 * the end, separates: it is no part of the message. What stands before the first From_ line is
 * nobody's.
 */
#ifndef MBOX_PARSE_H
#define MBOX_PARSE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octets.h"

#define MBOX_HASH 20
#define MBOX_HEAD 600 /* of a line, to decide what it is */

/* ---- quoting --------------------------------------------------------------------------------- */

enum mbox_quoting { MBOX_UNQUOTE_RD, MBOX_QUOTE_RD, MBOX_QUOTE_O, MBOX_AS_IS };

/* mboxrd: a line of '>'s and "From " gets one more, and loses it again. mboxo: only "From " itself
 * is quoted, and nobody can tell it from what was there before. */
struct mbox_quote {
	enum mbox_quoting how;
	unsigned gt,
		matched; /* '>'s and letters of "From " at the beginning of this line, held back */
	bool mid;        /* the line is decided */
};
#define MBOX_QUOTE_MORE \
	112 /* unquoted text may be this much longer than what went in; quoted, a fifth more again \
	     */

/* n bytes of in; returns how many of out were written. */
size_t parse_quote(struct mbox_quote *q, const char *in, size_t n, char *out);
/* What is held back at the end. */
size_t parse_quote_end(struct mbox_quote *q, char *out);

/* ---- messages -------------------------------------------------------------------------------- */

struct mbox_found {
	uint64_t from, body,
		end;             /* offsets: From_ line, first byte behind it, end of the message */
	uint64_t text;           /* first byte after the header */
	uint64_t octets, stored; /* of what is served: unquoted */
	int64_t received_ms;     /* the From_ line's date, taken for UTC as RFC 4155 says; 0: not
				    understood */
	unsigned char hash[MBOX_HASH]; /* of From_ line, headers no reader rewrites, body */
};

struct mbox_parse {
	/* set before parse_init */
	enum mbox_quoting how; /* MBOX_UNQUOTE_RD or MBOX_AS_IS */
	bool (*message)(void *ctx,
			const struct mbox_found *f); /* false: no more, please (no memory) */
	void *ctx;
	/* private */
	uint64_t at, line_at, blank_at;
	char head[MBOX_HEAD];
	size_t head_n;
	char blank[2];
	size_t blank_n; /* an empty line that may be a separator */
	bool mid;       /* inside a line whose head is decided */
	bool may_begin; /* this line is the first, or behind an empty one */
	bool inside, in_header, unhashed, failed;
	struct mbox_found found;
	struct mbox_quote quote;
	struct sdk_octets octets;
	EVP_MD_CTX *md;
	uint64_t said, text_at; /* Content-Length and where the text begins; UINT64_MAX: none */
	/* what was odd: bytes before the first message; NUL bytes; messages whose Content-Length is
	 * another; the lines of From_ lines end in CRLF; the last line has no end */
	uint64_t junk, nuls, lies;
	bool crlf, cut;
};

/* at: the file's offset where feeding begins: 0, or a message's From_ line. False: no memory. */
bool parse_init(struct mbox_parse *p, uint64_t at);
bool parse_feed(struct mbox_parse *p, const char *buf, size_t n);
/* The end of the file: the last message. */
bool parse_end(struct mbox_parse *p);
void parse_free(struct mbox_parse *p);

/* The date of a From_ line, n bytes. */
int64_t parse_from_date(const char *line, size_t n);
/* Is this line, without its end, a From_ line? */
bool parse_is_from(const char *line, size_t n);

#endif
