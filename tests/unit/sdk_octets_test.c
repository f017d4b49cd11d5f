/* SPDX-License-Identifier: Apache-2.0 */
/* Octets on the wire against a slow model: MAIL AS BYTES of restante/module.h, rewritten byte by
 * byte. */
#include "octets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) s, sizeof(s) - 1

/* ---- the model ------------------------------------------------------------------------------- */

struct model {
	uint64_t octets, bare_lf;
	bool header_done, utf8_header;
};

/* A line end is LF or CRLF and leaves as CRLF; any other byte is data; a last line without end
 * gets one. */
static struct model
model_of(const char *p, size_t n)
{
	struct model m = {0};
	size_t start = 0;

	while (start < n) {
		const char *lf = memchr(p + start, '\n', n - start);
		size_t end = lf ? (size_t)(lf - p) : n, data = end - start;

		if (lf && data > 0 && p[end - 1] == '\r')
			data--;
		else if (lf)
			m.bare_lf++;
		for (size_t i = start; i < end && !m.header_done; i++)
			m.utf8_header = m.utf8_header || (p[i] & 0x80);
		if (lf && data == 0)
			m.header_done = true;
		m.octets += data + 2;
		start = end + 1;
	}
	return m;
}

/* In pieces of this size, each in memory of its own. */
static struct sdk_octets
feed(const char *p, size_t n, size_t piece)
{
	struct sdk_octets o;

	sdk_octets_init(&o);
	for (size_t at = 0, len; at < n; at += len) {
		char *copy;

		len = n - at < piece ? n - at : piece;
		copy = malloc(len);
		assert_non_null(copy);
		memcpy(copy, p + at, len);
		sdk_octets_feed(&o, copy, len);
		free(copy);
	}
	return o;
}

static void
same_as_model(const char *p, size_t n, size_t piece)
{
	struct sdk_octets o = feed(p, n, piece);
	struct model m = model_of(p, n);

	assert_int_equal(sdk_octets_total(&o), m.octets);
	assert_int_equal(o.stored, n);
	assert_int_equal(o.bare_lf, m.bare_lf);
}

/* Nobody promises how an empty line with a stray CR affects the header: compared only without
 * one. */
static void
same_header(const char *p, size_t n, size_t piece)
{
	struct sdk_octets o = feed(p, n, piece);
	struct model m = model_of(p, n);

	assert_int_equal(o.header_done, m.header_done);
	assert_int_equal(o.utf8_header, m.utf8_header);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
known_sizes(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		uint64_t octets;
	} cases[] = {
		{TEXT(""), 0},
		{TEXT("a"), 3},
		{TEXT("a\n"), 3},
		{TEXT("a\r\n"), 3},
		{TEXT("\n"), 2},
		{TEXT("\r\n"), 2},
		{TEXT("\r"), 3},
		{TEXT("a\r"), 4},
		{TEXT("\r\r\n"), 3},
		{TEXT("\n\r"), 5},
		{TEXT("a\rb\n"), 5},
		{TEXT("\0\n\0"), 6},
		{TEXT("a\nb\r\nc"), 9},
		{TEXT("\n\n\n"), 6},
		{TEXT(".\n..\n"), 7}, /* before dot-stuffing */
		{TEXT("S: x\r\n\r\nbody\r\n"), 14},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece <= 16; piece++) {
			struct sdk_octets o = feed(cases[i].text, cases[i].n, piece);

			if (sdk_octets_total(&o) != cases[i].octets)
				fail_msg("case %zu in %zu: %llu", i, piece,
					 (unsigned long long)sdk_octets_total(&o));
		}
}

/* All texts of seven bytes over six, cut at every place. */
static void
all_short_texts(void **state)
{
	static const char alphabet[] = {'\r', '\n', 'x', '\0', '\x80', '.'};
	size_t base = sizeof(alphabet);
	char text[7];

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n++) {
		size_t all = 1;

		for (size_t i = 0; i < n; i++)
			all *= base;
		for (size_t k = 0; k < all; k++) {
			size_t rest = k;
			bool cr = false;

			for (size_t i = 0; i < n; i++, rest /= base) {
				text[i] = alphabet[rest % base];
				cr = cr || text[i] == '\r';
			}
			same_as_model(text, n, 1 + k % 7);
			if (!cr)
				same_header(text, n, 1 + k % 7);
		}
	}
}

/* Longer ones, in pieces of all sizes; the numbers are the same each time. */
static void
long_texts(void **state)
{
	static char text[5000];
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		size_t n = 0;

		while (n < sizeof(text) - 2) {
			seed = seed * 1664525 + 1013904223;
			switch (seed >> 28) {
			case 0:
				text[n++] = '\r'; /* fall through */
			case 1:
				text[n++] = '\n';
				break;
			case 2:
				text[n++] = '\r';
				break;
			default:
				text[n++] = (char)(seed >> 16);
			}
		}
		for (size_t piece = 1; piece <= sizeof(text); piece = piece * 3 + round % 2)
			same_as_model(text, n - round, piece);
	}
}

static void
the_header_ends_at_the_first_empty_line(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		bool done, utf8;
	} cases[] = {
		{TEXT(""), false, false},
		{TEXT("a\n"), false, false},
		{TEXT("\n"), true, false},
		{TEXT("\r\n"), true, false},
		{TEXT("a\n\n"), true, false},
		{TEXT("a\r\n\r\n"), true, false},
		{TEXT("a\r\n\nb"), true, false},
		{TEXT("a\n b\n"), false, false},
		{TEXT("a\n \n"), false, false},
		{TEXT("a\n\0\n"), false, false},
		{TEXT("\xc3\xa4\n\n"), true, true},
		{TEXT("a\n\n\xc3\xa4"), true, false},
		{TEXT("\n\xff\n\n"), true, false},
		{TEXT("a\r\n\r\n\x80"), true, false},
		{TEXT("a\r\nb: \x80\r\n\r\n"), true, true},
		{TEXT("\x80"), false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece <= 12; piece++) {
			struct sdk_octets o = feed(cases[i].text, cases[i].n, piece);

			if (o.header_done != cases[i].done || o.utf8_header != cases[i].utf8)
				fail_msg("case %zu in %zu: %d %d", i, piece, o.header_done,
					 o.utf8_header);
		}
}

/* A total may be asked for at any time, and an empty piece changes nothing. */
static void
totals_on_the_way(void **state)
{
	static const char text[] = "a: b\r\n\nx\ry\r\n\rz\n\r";
	struct sdk_octets o;

	(void)state;
	sdk_octets_init(&o);
	assert_int_equal(sdk_octets_total(&o), 0);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		sdk_octets_feed(&o, text + i, 0);
		assert_int_equal(sdk_octets_total(&o), model_of(text, i).octets);
		sdk_octets_feed(&o, text + i, 1);
		sdk_octets_feed(&o, text, 0);
	}
	assert_int_equal(sdk_octets_total(&o), model_of(text, sizeof(text) - 1).octets);
	sdk_octets_init(&o); /* as new */
	sdk_octets_feed(&o, "\n", 1);
	assert_int_equal(sdk_octets_total(&o), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sizes),
		cmocka_unit_test(all_short_texts),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(the_header_ends_at_the_first_empty_line),
		cmocka_unit_test(totals_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
