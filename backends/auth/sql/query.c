/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY 160

static const char *const names[P_COUNT] = {
	[P_USER] = "user", [P_LOCAL] = "local",     [P_DOMAIN] = "domain",
	[P_PEER] = "peer", [P_SERVICE] = "service", [P_HASH] = "hash",
	[P_OLD] = "old",   [P_TIME] = "time",       [P_ID] = "id",
};

#define BIT(p) (1u << (p))
#define OF_NAME (BIT(P_USER) | BIT(P_LOCAL) | BIT(P_DOMAIN))
#define OF_CALL (OF_NAME | BIT(P_PEER) | BIT(P_SERVICE))

/* Bits of the parameters a statement may use. */
static const uint32_t allowed[Q_COUNT] = {
	[Q_USER] = OF_CALL,
	[Q_PASSWORDS] = OF_CALL,
	[Q_TARGETS] = OF_CALL,
	[Q_DOMAIN] = BIT(P_DOMAIN),
	[Q_SET_PASSWORD] = OF_NAME | BIT(P_HASH) | BIT(P_OLD),
	[Q_SET_LOGIN] = OF_CALL | BIT(P_TIME),
	[Q_SET_USED] = OF_CALL | BIT(P_TIME) | BIT(P_ID),
};

/* The rewriting: from p..end to out. */
struct scan {
	const char *p, *end;
	char *out;
	size_t n;
	enum sql_dialect dialect;
	struct sql_query *q;
	char *why;
};

static bool
word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void
query_copy(struct scan *s, size_t n)
{
	memcpy(s->out + s->n, s->p, n);
	s->n += n;
	s->p += n;
}

static bool
query_at(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, text, n) == 0;
}

/* True if a parameter's name follows p, as in ':user'. */
static bool
is_name(const char *p, const char *end)
{
	return p + 1 < end && *p == ':' && isalpha((unsigned char)p[1]);
}

/* 'text', "name", `name`: a doubled quote stands for itself; MySQL's backslash too. */
static bool
query_quoted(struct scan *s)
{
	char quote = *s->p;
	bool backslash = s->dialect == SQL_MYSQL && quote != '`';
	const char *p = s->p + 1;

	for (; p < s->end; p++) {
		if (backslash && *p == '\\' && p + 1 < s->end)
			p++;
		else if (*p == quote && p + 1 < s->end && p[1] == quote)
			p++;
		else if (*p == quote)
			break;
		else if (p[-1] == quote && p == s->p + 1 && is_name(p, s->end)) {
			snprintf(s->why, WHY,
				 "%.20s stands in quotes: leave them out, values are bound", p);
			return false;
		}
	}
	if (p >= s->end) {
		snprintf(s->why, WHY, "a quote %c is not closed", quote);
		return false;
	}
	query_copy(s, (size_t)(p - s->p) + 1);
	return true;
}

/* To the end of the line, or to the closing mark; left out of what is sent. */
static bool
query_comment(struct scan *s, bool line)
{
	const char *stop = line ? memchr(s->p, '\n', (size_t)(s->end - s->p))
				: memmem(s->p + 2, (size_t)(s->end - s->p) - 2, "*/", 2);

	if (!stop && !line) {
		snprintf(s->why, WHY, "a comment is not closed");
		return false;
	}
	s->out[s->n++] = ' ';
	s->p = stop ? stop + (line ? 1 : 2) : s->end;
	return true;
}

static bool
query_parameter(struct scan *s)
{
	const char *name = s->p + 1;
	size_t n = 0, k = 0;

	while (name + n < s->end && word_char(name[n]))
		n++;
	while (k < P_COUNT && (strlen(names[k]) != n || memcmp(names[k], name, n) != 0))
		k++;
	if (k == P_COUNT || !(allowed[s->q->which] & BIT(k))) {
		int len = snprintf(s->why, WHY, "there is no :%.*s here; known are",
				   (int)(n < 32 ? n : 32), name);

		for (k = 0; k < P_COUNT; k++)
			if (allowed[s->q->which] & BIT(k))
				len += snprintf(s->why + len, WHY - (size_t)len, " :%s", names[k]);
		return false;
	}
	if (s->q->n_places == SQL_PLACES_MAX) {
		snprintf(s->why, WHY, "more than %d parameters", SQL_PLACES_MAX);
		return false;
	}
	s->q->place[s->q->n_places++] = (uint8_t)k;
	if (s->dialect == SQL_MYSQL)
		s->out[s->n++] = '?';
	else
		s->n += (size_t)snprintf(s->out + s->n, 5, "%c%zu",
					 s->dialect == SQL_PGSQL ? '$' : '?', s->q->n_places);
	s->p += n + 1;
	return true;
}

/* A placeholder of the database's own would be one that nothing is bound to. */
static bool
foreign_place(const struct scan *s)
{
	char c = *s->p;

	return (c == '?' && s->dialect != SQL_PGSQL) ||
	       (c == '$' && s->dialect == SQL_PGSQL &&
		!(s->n > 0 && word_char(s->out[s->n - 1]))) ||
	       ((c == '$' || c == '@') && s->dialect == SQL_SQLITE);
}

static bool
one_piece(struct scan *s)
{
	char c = *s->p;

	if (c == '\'' || c == '"' || (c == '`' && s->dialect != SQL_PGSQL))
		return query_quoted(s);
	if (query_at(s, "--") || (c == '#' && s->dialect == SQL_MYSQL))
		return query_comment(s, true);
	if (query_at(s, "/*"))
		return query_comment(s, false);
	if (query_at(s, "::") || query_at(s, ":=")) {
		query_copy(s, 2);
		return true;
	}
	if (is_name(s->p, s->end))
		return query_parameter(s);
	if (c == ';') {
		for (const char *p = s->p + 1; p < s->end; p++)
			if (!isspace((unsigned char)*p)) {
				snprintf(s->why, WHY,
					 "more than one statement: something stands after the ';'");
				return false;
			}
		s->p = s->end;
		return true;
	}
	if (foreign_place(s)) {
		snprintf(s->why, WHY, "'%c': use named parameters, like :user", c);
		return false;
	}
	query_copy(s, 1);
	return true;
}

bool
query_parse(struct sql_query *q, enum sql_which which, enum sql_dialect d, struct pm_str text,
	    char *why)
{
	struct scan s = {.p = text.p, .end = text.p + text.n, .dialect = d, .q = q, .why = why};

	q->which = which;
	q->n_places = 0;
	/* ":id" becomes at most "$32": no longer; a comment becomes one space */
	q->text = s.out = malloc(text.n + 1);
	if (!s.out) {
		snprintf(why, WHY, "no memory");
		return false;
	}
	if (memchr(text.p, '\0', text.n)) {
		snprintf(why, WHY, "it holds a NUL byte");
		return false;
	}
	while (s.p < s.end)
		if (!one_piece(&s))
			return false;
	s.out[s.n] = '\0';
	if (strspn(s.out, " \t\r\n") == s.n) {
		snprintf(why, WHY, "it is empty");
		return false;
	}
	return true;
}

void
query_free(struct sql_query *q)
{
	free(q->text);
	q->text = NULL;
}

void
query_name(struct pm_str *args, struct pm_str name)
{
	const char *at = name.n > 0 ? memrchr(name.p, '@', name.n) : NULL;

	args[P_USER] = name;
	args[P_LOCAL] = at ? (struct pm_str){name.p, (size_t)(at - name.p)} : name;
	args[P_DOMAIN] = at ? (struct pm_str){at + 1, (size_t)(name.p + name.n - at) - 1}
			    : (struct pm_str){"", 0};
}
