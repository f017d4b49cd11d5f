/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is collected in the caller's buffer up to its LF, then looked at. What is wrong with it -
 * too long, a NUL - is remembered while the rest of the line is thrown away, so that one line gets
 * exactly one answer however long it is (the classic sins: several -ERRs for one long line, text
 * behind a NUL ignored, "LIST 4294967297" taken as 1).
 */
#include "pop3/parse.h"

#include <string.h>
#include <strings.h>

#include "base/secret.h"

static const char *const names[VERB_MAX] = {
	[VERB_UNKNOWN] = "?", [VERB_APOP] = "APOP", [VERB_AUTH] = "AUTH", [VERB_CAPA] = "CAPA",
	[VERB_DELE] = "DELE", [VERB_LIST] = "LIST", [VERB_NOOP] = "NOOP", [VERB_PASS] = "PASS",
	[VERB_QUIT] = "QUIT", [VERB_RETR] = "RETR", [VERB_RSET] = "RSET", [VERB_STAT] = "STAT",
	[VERB_STLS] = "STLS", [VERB_TOP] = "TOP",   [VERB_UIDL] = "UIDL", [VERB_USER] = "USER",
};

const char *
verb_name(enum verb v)
{
	return names[v < VERB_MAX ? v : VERB_UNKNOWN];
}

void
parse_init(struct parse *p, char *buf, size_t cap)
{
	memset(p, 0, sizeof(*p));
	p->line = buf;
	p->cap = cap;
}

void
parse_set_line_mode(struct parse *p, bool on, size_t max)
{
	p->line_mode = on;
	p->line_mode_max = max;
}

void
parse_wipe(struct parse *p)
{
	if (p->line)
		secret_wipe(p->line, p->cap);
	p->n = 0;
	p->discarding = false;
	p->saw_nul = false;
}

static enum verb
parse_verb_find(const char *s, size_t n)
{
	for (enum verb v = VERB_UNKNOWN + 1; v < VERB_MAX; v++)
		if (strlen(names[v]) == n && strncasecmp(s, names[v], n) == 0)
			return v;
	return VERB_UNKNOWN;
}

/* PASS may hold anything, AUTH long base64; all else is printable ASCII, or UTF-8 in a name. */
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
		if (n == 0)
			c->too_many = true; /* a trailing space */
	}
}

/* A whole line without its end. */
static enum parse_result
command_of(const char *line, size_t n, size_t octets, struct command *ret)
{
	const char *space = memchr(line, ' ', n);
	size_t len = space ? (size_t)(space - line) : n;
	bool one;

	memset(ret, 0, sizeof(*ret));
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
		if (space && ret->rest.n == 0)
			ret->too_many = true;
		parse_split(ret);
	}
	return PARSE_COMMAND;
}

static enum parse_result
line_done(struct parse *p, struct command *ret)
{
	size_t n = p->n, octets = n + 1;
	bool too_long = p->discarding, nul = p->saw_nul;

	p->n = 0;
	p->discarding = p->saw_nul = false;
	if (too_long)
		return PARSE_TOO_LONG;
	if (nul)
		return PARSE_NUL;
	if (n > 0 && p->line[n - 1] == '\r')
		n--;
	if (p->line_mode) {
		memset(ret, 0, sizeof(*ret));
		ret->rest.p = p->line;
		ret->rest.n = n;
		return PARSE_LINE;
	}
	return command_of(p->line, n, octets, ret);
}

enum parse_result
parse_feed(struct parse *p, const void *data, size_t n, size_t *ret_used, struct command *ret)
{
	const char *in = data;
	const char *lf = memchr(in, '\n', n);
	size_t piece = lf ? (size_t)(lf - in) : n;
	size_t max = p->line_mode ? p->line_mode_max : PARSE_LINE_MAX;

	if (max > p->cap)
		max = p->cap;
	*ret_used = piece + (lf ? 1 : 0);
	if (memchr(in, '\0', piece))
		p->saw_nul = true;
	if (!p->discarding && p->n + piece + 1 > max) {
		p->discarding = true;
		if (p->line)
			secret_wipe(p->line, p->n); /* it may have been a password */
	}
	if (!p->discarding) {
		memcpy(p->line + p->n, in, piece);
		p->n += piece;
	}
	return lf ? line_done(p, ret) : PARSE_MORE;
}
