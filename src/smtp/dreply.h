/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dreply - a reply to the client: a code of RFC 5321, one of RFC 3463, and text. Pure.
 */
#ifndef RST_SMTP_DREPLY_H
#define RST_SMTP_DREPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DREPLY_MAX 512 /* octets of a line with CRLF: RFC 5321 section 4.5.3.1.5 */

/* All strings are static. text NULL: no reply. */
struct dreply {
	uint16_t code;
	const char *enhanced;
	const char *text;
};

/* Formats one line. more: other lines of the same reply follow ("250-"). whom: the address that
 * the text is about, quoted, or NULL. Returns its length. */
size_t dreply_line(char out[DREPLY_MAX], const struct dreply *r, const char *whom, bool more);

/* The reply for the outcome of a recipient's copy. over_quota_refuse: 552 instead of 452. */
struct dreply dreply_of(int32_t pm_rc, bool over_quota_refuse);

#endif
