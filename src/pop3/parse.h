/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - turns a line from the client into a command. One line gives exactly one result: RFC 1939
 * section 3, RFC 2449 section 4 (255 octets a command), RFC 5034 (AUTH lines are longer). Pure: the
 * results point into the line.
 */
#ifndef RST_POP3_PARSE_H
#define RST_POP3_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest lines, in octets with CRLF. */
#define PARSE_LINE_MAX 1024   /* PASS and AUTH */
#define PARSE_COMMAND_MAX 255 /* any other command */

enum verb {
	VERB_UNKNOWN,
	VERB_APOP,
	VERB_AUTH,
	VERB_CAPA,
	VERB_DELE,
	VERB_LIST,
	VERB_NOOP,
	VERB_PASS,
	VERB_QUIT,
	VERB_RETR,
	VERB_RSET,
	VERB_STAT,
	VERB_STLS,
	VERB_TOP,
	VERB_UIDL,
	VERB_USER,
	VERB_MAX
};

enum parse_result {
	PARSE_COMMAND,  /* verb and arguments are set */
	PARSE_RESPONSE, /* of a SASL exchange: rest is the line without its end */
	PARSE_TOO_LONG, /* the line was over its limit */
	PARSE_NUL,      /* the line held a NUL */
	PARSE_BAD,      /* not a command: empty line, bare CR inside, control characters */
};

struct command {
	enum verb verb;
	unsigned argc; /* arguments set in arg[]; PASS: 1, the rest of the line whole */
	struct {
		const char *p;
		size_t n;
	} arg[2];
	/* more arguments than arg[] holds, or two spaces between them */
	bool too_many;
	struct {
		const char *p;
		size_t n;
	} rest; /* everything after the verb and one space; PASS and USER: with spaces at its end */
};

/* A line of n octets, its LF included; a CR before the LF is dropped. Verbs may be in any case. */
enum parse_result parse_line(const char *line, size_t n, struct command *ret);

/* The same for a line that continues a SASL exchange and may have at most max octets. */
enum parse_result parse_response(const char *line, size_t n, size_t max, struct command *ret);

#endif
