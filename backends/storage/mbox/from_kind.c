/* SPDX-License-Identifier: Apache-2.0 */
#include "from_kind.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS 4     /* that may stand before the time */
#define WORD_MAX 16 /* the longest name of a month or a day */

struct word {
	const char *p;
	size_t n;
};

/* ---- words ----------------------------------------------------------------------------------- */

/* Takes the next word of [*at, end); n = 0: there is none. */
static struct word
next_word(const char **at, const char *end)
{
	struct word w;

	while (*at < end && (**at == ' ' || **at == '\t'))
		++*at;
	w.p = *at;
	while (*at < end && **at != ' ' && **at != '\t')
		++*at;
	w.n = (size_t)(*at - w.p);
	return w;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A number of `least` to `most` digits; -1: it is none. */
static int
number(struct word w, size_t least, size_t most)
{
	int v = 0;

	if (w.n < least || w.n > most)
		return -1;
	for (size_t k = 0; k < w.n; k++) {
		if (!is_digit(w.p[k]))
			return -1;
		v = 10 * v + (w.p[k] - '0');
	}
	return v;
}

/* The name of a day or a month in any language: "Wed", "Do", "mai", "févr.", "Thu,". */
static bool
is_name(struct word w)
{
	if (w.n < 2 || w.n > WORD_MAX || (!is_letter(w.p[0]) && (unsigned char)w.p[0] < 0x80))
		return false;
	for (size_t k = 0; k < w.n; k++)
		if (is_digit(w.p[k]) || w.p[k] == ':' || w.p[k] == '@')
			return false;
	return true;
}

static bool
is_day(struct word w)
{
	int v = number(w, 1, 2);

	return v >= 1 && v <= 31;
}

static bool
is_year(struct word w)
{
	int v = number(w, 4, 4);

	return v >= 1900 && v < 3000;
}

/* 9:05, 10:11, 10:11:12 */
static bool
is_time(struct word w)
{
	const char *colon = memchr(w.p, ':', w.n);
	size_t hours = colon ? (size_t)(colon - w.p) : 0, rest = colon ? w.n - hours : 0;

	return number((struct word){w.p, hours}, 1, 2) >= 0 && (rest == 3 || rest == 6) &&
	       number((struct word){colon + 1, 2}, 2, 2) >= 0 &&
	       (rest == 3 || (colon[3] == ':' && number((struct word){colon + 4, 2}, 2, 2) >= 0));
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char from_mark[] = "From ";

/* A date as asctime(3) writes it, or as RFC 5322: "Wed Jun  3 10:11:12 [zone] 2020", "Thu, 07 May
 * 2015 06:05:04". */
static bool
has_date(const char *at, const char *end)
{
	struct word before[WORDS] = {{0}}, w; /* the last ones, latest first */

	while ((w = next_word(&at, end)).n > 0) {
		if (is_time(w) && is_year(before[0]) && is_name(before[1]) && is_day(before[2]))
			return true;
		if (is_time(w) && is_day(before[0]) && is_name(before[1]) && is_name(before[2])) {
			const char *rest = at;

			for (int k = 0; k < 3; k++)
				if (is_year(next_word(&rest, end)))
					return true;
		}
		memmove(before + 1, before, (WORDS - 1) * sizeof(w));
		before[0] = w;
	}
	return false;
}

/* True for a word of three letters from a list, between a blank and a blank or comma. */
static bool
has_name(const char *p, size_t n, const char *names)
{
	for (size_t i = 0; i + 5 <= n; i++) {
		if (p[i] != ' ' || (p[i + 4] != ' ' && p[i + 4] != ','))
			continue;
		for (const char *w = names; *w; w += 3)
			if (memcmp(p + i + 1, w, 3) == 0)
				return true;
	}
	return false;
}

/* No sentence: nothing, "-" (Thunderbird), an address alone; or a date of which a part is
 * missing. */
static bool
is_bare(const char *line, size_t n)
{
	static const char *const alone[] = {"-", "<>", "MAILER-DAEMON"};
	const char *at = line + 5, *end = line + n;
	struct word w = next_word(&at, end);
	bool one = next_word(&at, end).n == 0;

	for (size_t k = 0; one && k < sizeof(alone) / sizeof(alone[0]); k++)
		if (w.n == strlen(alone[k]) && memcmp(w.p, alone[k], w.n) == 0)
			return true;
	return (one && (w.n == 0 || memchr(w.p, '@', w.n))) ||
	       (line[5] != ' ' && has_name(line, n, "MonTueWedThuFriSatSun") &&
		has_name(line, n, "JanFebMarAprMayJunJulAugSepOctNovDec"));
}

enum from_kind
from_kind(const char *line, size_t n)
{
	if (n < 5 || memcmp(line, from_mark, 5) != 0)
		return FROM_NOT;
	if (has_date(line + 5, line + n))
		return FROM_LINE;
	return is_bare(line, n) ? FROM_MAYBE : FROM_NOT;
}

bool
from_field(const char *line, size_t n)
{
	size_t k = 0;

	while (k < n && (is_letter(line[k]) || (k > 0 && (is_digit(line[k]) || line[k] == '-'))))
		k++;
	/* an address of the web is none */
	return k > 0 && k < n && line[k] == ':' &&
	       !(k + 2 < n && memcmp(line + k + 1, "//", 2) == 0);
}

bool
from_begins(const char *text, size_t n)
{
	const char *lf = memchr(text, '\n', n);
	size_t line = lf ? (size_t)(lf - text) : 0;
	enum from_kind kind;

	if (!lf)
		return false;
	kind = from_kind(text, line - (line > 0 && text[line - 1] == '\r'));
	return kind == FROM_LINE || (kind == FROM_MAYBE && from_field(lf + 1, n - line - 1));
}
