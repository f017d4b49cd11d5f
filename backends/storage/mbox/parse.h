/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - the text of an mbox (RFC 4155): where messages begin and end, their properties, and From_
 * quoting in both directions. Pure; resumable at any byte.
 *
 * A message begins with a From_ line (from_kind.h) at the start of the file or after an empty
 * line. The empty line before the next From_ line, or before
 * the end, is a separator, not a part of the message. Bytes before the first From_ line belong to
 * no message.
 */
#ifndef MBOX_PARSE_H
#define MBOX_PARSE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octets.h"

#define MBOX_HASH 20
#define MBOX_HEAD 1100 /* bytes of a line that decide its kind */

/* ---- quoting --------------------------------------------------------------------------------- */

enum mbox_quoting { MBOX_UNQUOTE_RD, MBOX_QUOTE_RD, MBOX_QUOTE_O, MBOX_AS_IS };

/* mboxrd: a line of '>'s and "From " gets one more '>', and loses it again. mboxo: only "From "
 * itself is quoted, and nobody can tell the result from a line that was so before. */
struct mbox_quote {
	enum mbox_quoting how;
	unsigned gt,
		matched; /* '>'s and letters of "From " at the beginning of this line, held back */
	bool mid;        /* the kind of the line is known */
};
/* unquoted text may be this much longer than what went in; quoted, another fifth longer */
#define MBOX_QUOTE_MORE 112

/* Takes n bytes of in; returns how many bytes of out were written. */
size_t parse_quote(struct mbox_quote *q, const char *in, size_t n, char *out);
/* Gives the bytes that are held back at the end. */
size_t parse_quote_end(struct mbox_quote *q, char *out);

/* ---- messages -------------------------------------------------------------------------------- */

struct mbox_found {
	uint64_t from, body, end; /* offsets: From_ line, first byte after it, end of the message */
	uint64_t text;            /* first byte after the header */
	uint64_t octets, stored;  /* as it is served: unquoted */
	/* the date of the From_ line, in UTC as RFC 4155 defines; 0: not understood */
	int64_t received_ms;
	unsigned char hash[MBOX_HASH]; /* of From_ line, headers that no reader rewrites, body */
	/* it looks like the message in which c-client and Dovecot keep data about the mailbox */
	bool internal;
};

struct mbox_parse {
	/* set before parse_init */
	enum mbox_quoting how;                                  /* MBOX_UNQUOTE_RD or MBOX_AS_IS */
	bool (*message)(void *ctx, const struct mbox_found *f); /* false: stop, no memory */
	void *ctx;
	/* private */
	uint64_t at, line_at, blank_at;
	char head[MBOX_HEAD];
	size_t head_n;
	char blank[2];
	size_t blank_n; /* an empty line that may be a separator */
	/* a line that is a From_ line if a header field follows */
	char maybe[MBOX_HEAD];
	size_t maybe_n;
	uint64_t maybe_at;
	bool mid;       /* inside a line whose head is decided */
	bool may_begin; /* this line is the first, or follows an empty one */
	bool inside, in_header, unhashed, failed;
	unsigned marks; /* of an internal message */
	struct mbox_found found;
	struct mbox_quote quote;
	struct sdk_octets octets;
	EVP_MD_CTX *md;
	uint64_t said, text_at; /* Content-Length and where the text begins; UINT64_MAX: none */
	/* oddities: bytes before the first message (some of them more than empty lines); NUL bytes;
	 * messages whose Content-Length is wrong; From_ lines with no empty line before; From_
	 * lines that end in CRLF; the last line has no end */
	uint64_t junk, nuls, lies, unseparated;
	bool text, crlf, cut;
};

/* at: the offset in the file where feeding begins: 0, or a message's From_ line. False: no memory.
 */
bool parse_init(struct mbox_parse *p, uint64_t at);
bool parse_feed(struct mbox_parse *p, const char *buf, size_t n);
/* Takes the end of the file, which ends the last message. */
bool parse_end(struct mbox_parse *p);
void parse_free(struct mbox_parse *p);

#endif
