/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse - bytes from the client into commands. Pure and resumable: feed what came, in any pieces;
 * one line gives exactly one result. RFC 1939 section 3, RFC 2449 section 4 (255 octets a command),
 * RFC 5034 (AUTH lines are longer).
 */
#ifndef RST_POP3_PARSE_H
#define RST_POP3_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARSE_LINE_MAX 1024   /* PASS and AUTH; any other command 255 with CRLF */
#define PARSE_COMMAND_MAX 255 /* octets of a line, CRLF counted */

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
	PARSE_MORE,     /* no complete line yet */
	PARSE_COMMAND,  /* verb and arguments are set */
	PARSE_LINE,     /* line mode (SASL continuation): text is set */
	PARSE_TOO_LONG, /* the line was over its limit; it is consumed through its LF */
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
	/* more arguments than arg[] holds, or a trailing/double space */
	bool too_many;
	struct {
		const char *p;
		size_t n;
	} rest; /* all behind the verb and one space, as sent */
};

struct parse {
	char *line; /* buffer of the caller, cap bytes */
	size_t cap;
	size_t n;
	bool discarding; /* over-long or NUL line: skip through LF */
	bool saw_nul;
	bool line_mode;
	size_t line_mode_max; /* limit in line mode, CRLF counted */
};

/* buf: PARSE_LINE_MAX bytes or more, the caller's; wiped by parse_wipe. */
void parse_init(struct parse *p, char *buf, size_t cap);

/* Line mode: the next lines are SASL responses of at most max octets; buf/cap may be exchanged
 * for a larger buffer while no line is in progress. */
void parse_set_line_mode(struct parse *p, bool on, size_t max);

/*
 * Takes bytes from data[0..n); *ret_used of them are consumed (never past the LF of a line).
 * Command and text point into the caller's buffer until the next call. Lines end in LF; a CR before
 * it is dropped. Verbs in any case. The result PARSE_LINE sets ret->rest.
 */
enum parse_result parse_feed(struct parse *p, const void *data, size_t n, size_t *ret_used,
			     struct command *ret);

/* Forgets and wipes whatever line is in progress (STLS; after PASS and AUTH). */
void parse_wipe(struct parse *p);

const char *verb_name(enum verb v);

#endif
