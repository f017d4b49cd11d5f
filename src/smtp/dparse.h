/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dparse - turns a line from the client into a command of LMTP or SMTP: RFC 5321 section 4.1, RFC
 * 2033. Pure.
 */
#ifndef RST_SMTP_DPARSE_H
#define RST_SMTP_DPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account/address.h"

#define DPARSE_LINE_MAX 2048 /* with CRLF; RFC 5321 requires 512, extensions add to that */

enum dverb {
	DVERB_UNKNOWN,
	DVERB_LHLO,
	DVERB_HELO,
	DVERB_EHLO,
	DVERB_MAIL,
	DVERB_RCPT,
	DVERB_DATA,
	DVERB_BDAT,
	DVERB_RSET,
	DVERB_NOOP,
	DVERB_VRFY,
	DVERB_QUIT,
	DVERB_STARTTLS,
	DVERB_XCLIENT,
	DVERB_HELP,
	DVERB_ELSEWHERE, /* EXPN, AUTH, ETRN, TURN: known, but not offered here */
	DVERB_NOT_MAIL,  /* GET, POST, CONNECT: somebody speaks HTTP */
};

enum dparse_result { DPARSE_COMMAND, DPARSE_TOO_LONG, DPARSE_NUL, DPARSE_BAD };

struct dcommand {
	enum dverb verb;
	const char *args; /* after the verb, without spaces at its ends; points into the line */
	size_t n;
};

/* A line of n octets, its LF included. */
enum dparse_result dparse_line(const char *line, size_t n, struct dcommand *ret);

/* The argument of MAIL or RCPT. size: in octets, UINT64_MAX when not given. */
struct dpath {
	struct address address;
	uint64_t size;
	bool utf8, eight_bit;
};

enum dpath_result {
	DPATH_OK,
	DPATH_SYNTAX, /* 501 5.5.4: *ret_why tells why */
	/* 501 5.1.7, for a recipient 5.1.3 (RFC 3463 section 3.2): *ret_why tells why */
	DPATH_ADDRESS,
	DPATH_PARAMETER, /* 555: a parameter that is not offered; *ret_why tells so */
};

/* "FROM:<...> SIZE=1 BODY=8BITMIME SMTPUTF8" if `from`, else "TO:<...>". */
enum dpath_result dparse_path(const char *p, size_t n, bool from, struct dpath *ret,
			      const char **ret_why);

/* BDAT's "86 LAST". */
bool dparse_bdat(const char *p, size_t n, uint64_t *ret_octets, bool *ret_last);

/* The client's name in LHLO, HELO, EHLO: printable ASCII without spaces, at most 255. */
bool dparse_name(const char *p, size_t n);

/* The next NAME=value of XCLIENT; *p moves past it. The value is decoded from xtext into `value`,
 * at most cap - 1 octets and a NUL. 1: there is one, 0: no more, -1: not well formed. */
int dparse_attribute(const char **p, const char *end, char *name, size_t name_cap, char *value,
		     size_t cap);

#endif
