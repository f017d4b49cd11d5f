/* SPDX-License-Identifier: Apache-2.0 */
/* The classic mistakes of POP3 servers: several -ERRs for one long line, text after a NUL ignored,
 * "LIST 4294967297" taken as 1. */
#include "pop3/parse.h"

#include <string.h>
#include <strings.h>

static const char *const names[VERB_MAX] = {
	[VERB_APOP] = "APOP", [VERB_AUTH] = "AUTH", [VERB_CAPA] = "CAPA", [VERB_DELE] = "DELE",
	[VERB_LIST] = "LIST", [VERB_NOOP] = "NOOP", [VERB_PASS] = "PASS", [VERB_QUIT] = "QUIT",
	[VERB_RETR] = "RETR", [VERB_RSET] = "RSET", [VERB_STAT] = "STAT", [VERB_STLS] = "STLS",
	[VERB_TOP] = "TOP",   [VERB_UIDL] = "UIDL", [VERB_USER] = "USER",
};

static enum verb
parse_verb_find(const char *s, size_t n)
{
	for (enum verb v = VERB_UNKNOWN + 1; v < VERB_MAX; v++)
		if (strlen(names[v]) == n && strncasecmp(s, names[v], n) == 0)
			return v;
	return VERB_UNKNOWN;
}

/* PASS may hold anything, AUTH long base64; the rest is printable ASCII, or UTF-8 in a name. */
static bool
has_control(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return true;
	return false;
}

/* Splits rest at single spaces into at most two arguments. */
static void
parse_split(struct command *c)
{
	const char *s = c->rest.p;
	size_t n = c->rest.n;

	while (n > 0) {
		const char *space = memchr(s, ' ', n);
		size_t len = space ? (size_t)(space - s) : n;

		if (len == 0 || c->argc == 2) {
			c->too_many = true; /* double space, or more than any command takes */
			return;
		}
		c->arg[c->argc].p = s;
		c->arg[c->argc++].n = len;
		if (!space)
			return;
		s = space + 1;
		n -= len + 1;
	}
}

/* A whole line, given without its end. */
static enum parse_result
command_of(const char *line, size_t n, size_t octets, struct command *ret)
{
	const char *space = memchr(line, ' ', n);
	size_t len = space ? (size_t)(space - line) : n;
	bool one;

	if (n == 0)
		return PARSE_BAD;
	ret->verb = parse_verb_find(line, len);
	one = ret->verb == VERB_PASS || ret->verb == VERB_AUTH;
	if (octets > PARSE_COMMAND_MAX && !one)
		return PARSE_TOO_LONG; /* RFC 2449 s4 */
	if (ret->verb != VERB_PASS && has_control(line, n))
		return PARSE_BAD;
	ret->rest.p = space ? space + 1 : line + n;
	ret->rest.n = space ? n - len - 1 : 0;
	if (ret->verb == VERB_PASS || ret->verb == VERB_USER) {
		/* RFC 1939 s7: spaces are part of a password, and of a name */
		ret->argc = space ? 1 : 0;
		ret->arg[0].p = ret->rest.p;
		ret->arg[0].n = ret->rest.n;
	} else {
		/* some clients send one after every command ("LIST "), with or without arguments */
		while (ret->rest.n > 0 && ret->rest.p[ret->rest.n - 1] == ' ')
			ret->rest.n--;
		parse_split(ret);
	}
	return PARSE_COMMAND;
}

/* Checks length and NULs, which are the same for all lines; *n becomes the length without the
 * line's end. PARSE_COMMAND: it passed. */
static enum parse_result
parse_trim(const char *line, size_t *n, size_t max)
{
	if (*n > max)
		return PARSE_TOO_LONG;
	if (memchr(line, '\0', *n))
		return PARSE_NUL;
	if (*n > 0 && line[*n - 1] == '\n')
		--*n;
	if (*n > 0 && line[*n - 1] == '\r')
		--*n;
	return PARSE_COMMAND;
}

enum parse_result
parse_line(const char *line, size_t n, struct command *ret)
{
	size_t octets = n;
	enum parse_result r = parse_trim(line, &n, PARSE_LINE_MAX);

	memset(ret, 0, sizeof(*ret));
	return r == PARSE_COMMAND ? command_of(line, n, octets, ret) : r;
}

enum parse_result
parse_response(const char *line, size_t n, size_t max, struct command *ret)
{
	enum parse_result r = parse_trim(line, &n, max);

	memset(ret, 0, sizeof(*ret));
	ret->rest.p = line;
	ret->rest.n = n;
	return r == PARSE_COMMAND ? PARSE_RESPONSE : r;
}
