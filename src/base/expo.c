/* SPDX-License-Identifier: Apache-2.0 */
#include "base/expo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 16384

static void
expo_put(struct expo *e, const char *p, size_t n)
{
	if (e->failed || n > EXPO_MAX - e->n) {
		e->failed = true;
		return;
	}
	if (e->n + n > e->cap) {
		size_t cap = e->cap ? e->cap : FIRST_CAP;
		char *more;

		while (cap < e->n + n)
			cap *= 2;
		more = realloc(e->text, cap);
		if (!more) {
			e->failed = true;
			return;
		}
		e->text = more;
		e->cap = cap;
	}
	memcpy(e->text + e->n, p, n);
	e->n += n;
}

static void
put_cstr(struct expo *e, const char *s)
{
	expo_put(e, s, strlen(s));
}

void
expo_fini(struct expo *e)
{
	free(e->text);
	*e = (struct expo){0};
}

char *
expo_take(struct expo *e, size_t *ret_n)
{
	char *text;

	expo_put(e, "", 1);
	if (e->failed)
		return NULL;
	text = e->text;
	*ret_n = e->n - 1;
	e->text = NULL;
	return text;
}

/* ---- escaping -------------------------------------------------------------------------------- */

/* Octets of the UTF-8 character at p (RFC 3629); 0: not one. */
static size_t
utf8_char(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char lo, hi, second_lo, second_hi;
		size_t n;
	} shapes[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (p[0] < shapes[i].lo || p[0] > shapes[i].hi)
			continue;
		if (n < shapes[i].n || p[1] < shapes[i].second_lo || p[1] > shapes[i].second_hi)
			return 0;
		for (size_t k = 2; k < shapes[i].n; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return shapes[i].n;
	}
	return 0;
}

/* quoted: the value of a label. */
static void
put_escaped(struct expo *e, const char *s, bool quoted)
{
	size_t n = strlen(s), len;

	for (; n > 0; s += len, n -= len) {
		unsigned char c = (unsigned char)*s;

		len = 1;
		if (c == '\\')
			expo_put(e, "\\\\", 2);
		else if (c == '\n')
			expo_put(e, "\\n", 2);
		else if (c == '"' && quoted)
			expo_put(e, "\\\"", 2);
		else if (c >= 0x20 && c < 0x7f)
			expo_put(e, s, 1);
		else if (c >= 0x80 && (len = utf8_char((const unsigned char *)s, n)) > 0)
			expo_put(e, s, len);
		else
			expo_put(e, "?", len = 1);
	}
}

/* ---- families and samples -------------------------------------------------------------------- */

void
expo_family(struct expo *e, const char *name, enum expo_type type, const char *help)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	e->family = name;
	put_cstr(e, "# HELP ");
	put_cstr(e, name);
	put_cstr(e, " ");
	put_escaped(e, help, false);
	put_cstr(e, "\n# TYPE ");
	put_cstr(e, name);
	put_cstr(e, " ");
	put_cstr(e, types[type]);
	put_cstr(e, "\n");
}

static void
expo_begin(struct expo *e, const char *suffix)
{
	if (e->begun)
		return;
	put_cstr(e, e->family);
	put_cstr(e, suffix);
	e->begun = true;
}

void
expo_part(struct expo *e, const char *suffix)
{
	expo_begin(e, suffix);
}

void
expo_label(struct expo *e, const char *key, const char *value)
{
	expo_begin(e, "");
	put_cstr(e, e->labelled ? "," : "{");
	put_cstr(e, key);
	put_cstr(e, "=\"");
	put_escaped(e, value, true);
	put_cstr(e, "\"");
	e->labelled = true;
}

static void
expo_end(struct expo *e, const char *value)
{
	expo_begin(e, "");
	put_cstr(e, e->labelled ? "} " : " ");
	put_cstr(e, value);
	put_cstr(e, "\n");
	e->begun = e->labelled = false;
}

void
expo_count(struct expo *e, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	expo_end(e, text);
}

void
expo_seconds(struct expo *e, int64_t us)
{
	char text[32];
	uint64_t v = us < 0 ? -(uint64_t)us : (uint64_t)us;

	snprintf(text, sizeof(text), "%s%" PRIu64 ".%06" PRIu64, us < 0 ? "-" : "", v / 1000000,
		 v % 1000000);
	expo_end(e, text);
}
