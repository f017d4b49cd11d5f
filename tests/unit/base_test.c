/* SPDX-License-Identifier: Apache-2.0 */
/* The small helpers: strict numbers, base64, rings, arenas, keyed hash, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/failing.h"
#include "base/log.h"
#include "base/num.h"
#include "base/ring.h"
#include "base/secret.h"

static void
numbers_are_whole_unsigned_and_in_range(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t value;
	} cases[] = {
		{"0", 9, true, 0},
		{"1", 9, true, 1},
		{"007", 9, true, 7},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"10", 9, false, 0},
		{"", 9, false, 0},
		{"+1", 9, false, 0},
		{"-1", 9, false, 0},
		{" 1", 9, false, 0},
		{"1 ", 9, false, 0},
		{"1x", 9, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 99;

		assert_int_equal(num_parse(cases[i].text, strlen(cases[i].text), cases[i].max, &v),
				 cases[i].ok);
		assert_true(v == (cases[i].ok ? cases[i].value : 99));
	}
}

static void
numbers_format_and_parse_back(void **state)
{
	static const uint64_t values[] = {0, 9, 10, 123456789, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char buf[20];
		uint64_t v;

		assert_true(num_parse(buf, num_format(buf, values[i]), UINT64_MAX, &v));
		assert_true(v == values[i]);
	}
}

static void
base64_is_strict(void **state)
{
	static const char *const good[] = {"", "YQ==", "YWI=", "YWJj", "AGFubgByZXN0YW50ZQ=="};
	static const char *const bad[] = {
		"Y", "YQ", "YQ=", "YR==", "YWJ=", "Y Q=", "YQ==YQ==", "====", "Y=Q=", "YW\nJ"};
	unsigned char out[64];
	char again[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(b64_decode(good[i], strlen(good[i]), out, sizeof(out), &n));
		assert_int_equal(b64_encode(out, n, again), strlen(good[i]));
		assert_memory_equal(again, good[i], strlen(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(b64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &n));
	assert_false(b64_decode("YWJj", 4, out, 2, &n));
}

static void
ring_keeps_order_over_its_edge(void **state)
{
	struct ring r;
	unsigned char put = 0, got = 0;

	(void)state;
	ring_init(&r, 1024);
	for (int round = 0; round < 200; round++) {
		unsigned char piece[37];

		while (ring_room(&r) >= sizeof(piece)) {
			for (size_t i = 0; i < sizeof(piece); i++)
				piece[i] = put++;
			assert_true(ring_put(&r, piece, sizeof(piece)));
		}
		assert_false(ring_put(&r, piece, sizeof(piece)));
		for (int k = 0; k < 700; k++) {
			size_t n;
			const unsigned char *p = ring_data(&r, &n);

			assert_int_equal(*p, got++);
			ring_consume(&r, 1, k & 1);
		}
	}
	ring_fini(&r);
	assert_int_equal(ring_used(&r), 0);
	assert_null(r.buf);
}

static void
ring_finds_and_peeks_over_its_edge(void **state)
{
	struct ring r;
	char buf[16];

	(void)state;
	ring_init(&r, 1024);
	for (int i = 0; i < 1020; i++)
		assert_true(ring_put(&r, "x", 1));
	ring_consume(&r, 1015, true);
	assert_true(ring_put(&r, "abc\ndef", 7));
	assert_int_equal(ring_find(&r, 0, '\n'), 8);
	assert_int_equal(ring_find(&r, 9, '\n'), -1);
	assert_int_equal(ring_peek(&r, 5, buf, 7), 7);
	assert_memory_equal(buf, "abc\ndef", 7);
	ring_fini(&r);
	ring_rest(&r);
}

static void
arena_has_a_limit_and_zeroes(void **state)
{
	struct arena a;
	unsigned char *p;

	(void)state;
	arena_init(&a, 4096);
	p = arena_alloc(&a, 1000);
	assert_non_null(p);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	assert_null(arena_alloc(&a, 4096));
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	assert_string_equal(arena_dup(&a, "text", 4), "text");
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 4000));
	arena_reset(&a);
}

static void
hash_depends_on_every_byte(void **state)
{
	char buf[40] = {0};
	uint64_t h = secret_hash(buf, sizeof(buf));

	(void)state;
	assert_true(h == secret_hash(buf, sizeof(buf)));
	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] = 1;
		assert_true(h != secret_hash(buf, sizeof(buf)));
		buf[i] = 0;
	}
	assert_true(h != secret_hash(buf, sizeof(buf) - 1));
}

static void
log_lines_escape_text_from_outside(void **state)
{
	struct log_line l;
	char text[LOG_LINE_MAX];

	(void)state;
	log_audit(&l, "login");
	log_str(&l, "user", "a\n\"b\xff\0c", 7);
	log_num(&l, "octets", 42);
	log_cstr(&l, "how", "a b");
	log_cstr(&l, "nothing", NULL);
	(void)log_render_text(&l, 0, text, sizeof(text));
	assert_string_equal(text, "1970-01-01T00:00:00.000Z notice login "
				  "user=a\\x0a\\x22b\\xff\\x00c octets=42 how=\"a b\"");
	(void)log_render_json(&l, 1234, text, sizeof(text));
	assert_string_equal(
		text,
		"{\"time\":\"1970-01-01T00:00:01.234Z\",\"level\":\"notice\",\"event\":\"login\","
		"\"user\":\"a\\\\x0a\\\\x22b\\\\xff\\\\x00c\",\"octets\":42,\"how\":\"a b\"}");
}

static void
a_line_too_long_is_cut_and_still_json(void **state)
{
	struct log_line l;
	char big[390], text[LOG_LINE_MAX];

	(void)state;
	memset(big, 'x', sizeof(big));
	log_begin(&l, LOG_LVL_INFO, "e");
	for (int i = 0; i < 20; i++)
		log_str(&l, "k", big, sizeof(big));
	size_t n = log_render_json(&l, 0, text, 600);

	assert_true(n < 600);
	assert_int_equal(text[n - 1], '}');
	assert_int_equal(text[n - 2], '"');
}

/* Work that is tried every two seconds, and fails for a day. */
static void
a_failure_that_lasts_is_told_now_and_then(void **state)
{
	unsigned begins = 0, still = 0;
	struct failing f = {0};
	int64_t now = 1000;
	uint64_t n;

	(void)state;
	for (; now < 86400000; now += 2000) {
		enum failing_line l = failing_turn(&f, false, now, &n);

		begins += l == FAILING_BEGINS;
		still += l == FAILING_STILL;
	}
	assert_true(begins == 1 && still == 23);
	assert_int_equal(failing_turn(&f, true, now, &n), FAILING_OVER);
	assert_int_equal(n, 43200);
	assert_int_equal(failing_turn(&f, true, now, &n), FAILING_QUIET);
}

static void
one_that_comes_and_goes_is_told_once_a_minute(void **state)
{
	struct failing f = {0};
	unsigned lines = 0;
	uint64_t n;

	(void)state;
	for (int64_t now = 1000; now < 3600000; now += 1000)
		lines += failing_turn(&f, now % 2000 == 0, now, &n) != FAILING_QUIET;
	assert_true(lines > 100 && lines <= 2 * 60); /* it fails, and it works again */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_unsigned_and_in_range),
		cmocka_unit_test(numbers_format_and_parse_back),
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(ring_keeps_order_over_its_edge),
		cmocka_unit_test(ring_finds_and_peeks_over_its_edge),
		cmocka_unit_test(arena_has_a_limit_and_zeroes),
		cmocka_unit_test(hash_depends_on_every_byte),
		cmocka_unit_test(log_lines_escape_text_from_outside),
		cmocka_unit_test(a_failure_that_lasts_is_told_now_and_then),
		cmocka_unit_test(one_that_comes_and_goes_is_told_once_a_minute),
		cmocka_unit_test(a_line_too_long_is_cut_and_still_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
