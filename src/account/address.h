/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address - the paths of MAIL and RCPT: RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3.
 * Pure.
 *
 * What comes out is a name as account modules know it: a quoted local part without its quotes and
 * backslashes, the domain as it was given. A source route is read over (RFC 5321 appendix C).
 *
 * The whole has a limit, and its local part none of its own: 64 octets are what RFC 5321 section
 * 4.5.3.1.1 wants to be taken at least, and senders with a tag (VERP, SRS) are longer.
 */
#ifndef RST_ACCOUNT_ADDRESS_H
#define RST_ACCOUNT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_MAX 320        /* PM_NAME_MAX; RFC 5321 section 4.5.3.1.3 asks for 254 */
#define ADDRESS_DOMAIN_MAX 255 /* RFC 5321 section 4.5.3.1.2 */

struct address {
	char text[ADDRESS_MAX + 1]; /* local, or local@domain; NUL-terminated */
	size_t n;
	size_t local_n; /* of the local part */
	bool null;      /* <> */
	bool utf8;      /* not only ASCII */
	bool quoted;    /* its local part was, and not for nothing */
	bool literal;   /* [192.0.2.1] instead of a domain */
	/* Words for what nobody can have as an address, though it reads as one: an empty local
	 * part, a domain of a wrong form. NULL: nothing. */
	const char *odd;
};

/* The path that begins at p[0], "<...>"; *ret_used: up to and with its '>'. NULL: fine, else
 * what is wrong, in words. */
const char *address_path(const char *p, size_t n, size_t *ret_used, struct address *ret);

/* The address as it stands in a path or header field, quoted again where it must be: at most
 * ADDRESS_QUOTED_MAX octets and a NUL. */
#define ADDRESS_QUOTED_MAX (2 * ADDRESS_MAX + 2)
size_t address_quote(const char *name, size_t n, char *ret);

#endif
