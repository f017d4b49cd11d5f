/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/dparse.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"

static const struct {
	const char *name;
	enum dverb verb;
} verbs[] = {
	{"LHLO", DVERB_LHLO},       {"HELO", DVERB_HELO},      {"EHLO", DVERB_EHLO},
	{"MAIL", DVERB_MAIL},       {"RCPT", DVERB_RCPT},      {"DATA", DVERB_DATA},
	{"BDAT", DVERB_BDAT},       {"RSET", DVERB_RSET},      {"NOOP", DVERB_NOOP},
	{"VRFY", DVERB_VRFY},       {"QUIT", DVERB_QUIT},      {"STARTTLS", DVERB_STARTTLS},
	{"XCLIENT", DVERB_XCLIENT}, {"HELP", DVERB_HELP},      {"EXPN", DVERB_ELSEWHERE},
	{"AUTH", DVERB_ELSEWHERE},  {"ETRN", DVERB_ELSEWHERE}, {"TURN", DVERB_ELSEWHERE},
	{"GET", DVERB_NOT_MAIL},    {"POST", DVERB_NOT_MAIL},  {"CONNECT", DVERB_NOT_MAIL},
};

static enum dverb
dparse_verb_find(const char *p, size_t n)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strlen(verbs[i].name) == n && strncasecmp(verbs[i].name, p, n) == 0)
			return verbs[i].verb;
	return DVERB_UNKNOWN;
}

enum dparse_result
dparse_line(const char *line, size_t n, struct dcommand *ret)
{
	const char *space;
	size_t len;

	memset(ret, 0, sizeof(*ret));
	if (n > DPARSE_LINE_MAX)
		return DPARSE_TOO_LONG;
	if (memchr(line, '\0', n))
		return DPARSE_NUL;
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r')
		n--;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return DPARSE_BAD;
	space = memchr(line, ' ', n);
	len = space ? (size_t)(space - line) : n;
	ret->verb = dparse_verb_find(line, len);
	ret->args = line + len;
	ret->n = n - len;
	while (ret->n > 0 && ret->args[0] == ' ') {
		ret->args++;
		ret->n--;
	}
	while (ret->n > 0 && ret->args[ret->n - 1] == ' ')
		ret->n--;
	return DPARSE_COMMAND;
}

/* ---- MAIL and RCPT --------------------------------------------------------------------------- */

static bool
word_is(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

static enum dpath_result
dparse_parameter(const char *p, size_t n, bool from, struct dpath *ret, const char **ret_why)
{
	const char *eq = memchr(p, '=', n);
	size_t len = eq ? (size_t)(eq - p) : n;
	const char *value = eq ? eq + 1 : p + n;
	size_t value_n = eq ? n - len - 1 : 0;

	*ret_why = "this parameter is not offered here";
	if (!from)
		return DPATH_PARAMETER;
	if (word_is(p, len, "SIZE")) {
		*ret_why = "SIZE needs a number";
		/* RFC 1870 section 3: up to 20 digits */
		return eq && num_parse(value, value_n, UINT64_MAX - 1, &ret->size) ? DPATH_OK
										   : DPATH_SYNTAX;
	}
	if (word_is(p, len, "BODY")) {
		ret->eight_bit = word_is(value, value_n, "8BITMIME");
		*ret_why = "BODY is 7BIT or 8BITMIME";
		return ret->eight_bit || word_is(value, value_n, "7BIT") ? DPATH_OK : DPATH_SYNTAX;
	}
	if (word_is(p, len, "SMTPUTF8") && !eq) {
		ret->utf8 = true;
		return DPATH_OK;
	}
	return DPATH_PARAMETER;
}

enum dpath_result
dparse_path(const char *p, size_t n, bool from, struct dpath *ret, const char **ret_why)
{
	const char *word = from ? "FROM:" : "TO:", *end = p + n;
	size_t len = strlen(word), used;
	enum dpath_result r = DPATH_OK;

	memset(ret, 0, sizeof(*ret));
	ret->size = UINT64_MAX;
	*ret_why = from ? "expected MAIL FROM:<address>" : "expected RCPT TO:<address>";
	if (n < len || strncasecmp(p, word, len) != 0)
		return DPATH_SYNTAX;
	p += len;
	while (p < end && *p == ' ') /* a frequent mistake, and harmless */
		p++;
	*ret_why = address_path(p, (size_t)(end - p), &used, &ret->address);
	/* A sender may be odd: the server before us has taken the mail, and a refusal were a bounce
	 * about something that its recipient cannot mend. */
	if (!*ret_why && !from)
		*ret_why = ret->address.odd;
	if (*ret_why)
		return DPATH_ADDRESS;
	p += used;
	if (p < end && *p != ' ') {
		*ret_why = "something stands after the address";
		return DPATH_ADDRESS;
	}
	while (p < end && r == DPATH_OK) {
		const char *space;

		while (p < end && *p == ' ')
			p++;
		space = memchr(p, ' ', (size_t)(end - p));
		len = space ? (size_t)(space - p) : (size_t)(end - p);
		if (len > 0)
			r = dparse_parameter(p, len, from, ret, ret_why);
		p += len;
	}
	return r;
}

/* ---- the others ------------------------------------------------------------------------------ */

bool
dparse_bdat(const char *p, size_t n, uint64_t *ret_octets, bool *ret_last)
{
	const char *space = memchr(p, ' ', n);
	size_t len = space ? (size_t)(space - p) : n;

	*ret_last = false;
	if (!num_parse(p, len, INT64_MAX, ret_octets))
		return false;
	while (len < n && p[len] == ' ')
		len++;
	*ret_last = word_is(p + len, n - len, "LAST");
	return len == n || *ret_last;
}

bool
dparse_name(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= 0x20 || p[i] >= 0x7f)
			return false;
	return n > 0 && n <= 255;
}

static int
dparse_hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* RFC 3461 section 4: "+" and two hexadecimal digits are an octet. */
static bool
dparse_xtext(const char *p, const char *end, char *to, size_t cap)
{
	size_t n = 0;

	while (p < end) {
		int x = (unsigned char)*p++;

		if (x == '+') {
			if (end - p < 2 || dparse_hex(p[0]) < 0 || dparse_hex(p[1]) < 0)
				return false;
			x = dparse_hex(p[0]) * 16 + dparse_hex(p[1]);
			p += 2;
		}
		if (x < 0x20 || x == 0x7f || n + 1 >= cap)
			return false;
		to[n++] = (char)x;
	}
	to[n] = '\0';
	return true;
}

int
dparse_attribute(const char **p, const char *end, char *name, size_t name_cap, char *value,
		 size_t cap)
{
	const char *at = *p, *eq, *space;

	while (at < end && *at == ' ')
		at++;
	if (at == end)
		return 0;
	space = memchr(at, ' ', (size_t)(end - at));
	if (!space)
		space = end;
	eq = memchr(at, '=', (size_t)(space - at));
	if (!eq || eq == at || (size_t)(eq - at) >= name_cap)
		return -1;
	memcpy(name, at, (size_t)(eq - at));
	name[eq - at] = '\0';
	*p = space;
	return dparse_xtext(eq + 1, space, value, cap) ? 1 : -1;
}
