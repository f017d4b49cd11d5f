/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that strangers help to write: harmless, one line each, and no more than are wanted. */
#include "clock_rig.h"
#include "log_rig.h"

#include <pthread.h>

/* ---- bytes from outside ---------------------------------------------------------------------- */

static void
escapes(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
		{TEXT(""), ""},
		{TEXT("ann@example.org"), "ann@example.org"},
		{TEXT("a\0b"), "a\\x00b"},
		{TEXT("\r\nnotice login user=root"), "\\x0d\\x0anotice login user=root"},
		{TEXT("\x1b[2J\x07\x7f\t"), "\\x1b[2J\\x07\\x7f\\x09"},
		{TEXT("\"\\"), "\\x22\\x5c"},
		{TEXT("\\x0a"), "\\x5cx0a"}, /* an escape cannot be forged */
		{TEXT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xab"),
		 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xab"},
		{TEXT("\xc0\xaf"), "\\xc0\\xaf"}, /* overlong */
		{TEXT("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},
		{TEXT("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf"},
		{TEXT("\xed\xa0\x80"), "\\xed\\xa0\\x80"}, /* a surrogate */
		{TEXT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
		{TEXT("\xc3"), "\\xc3"}, /* cut */
		{TEXT("\xe2\x82"), "\\xe2\\x82"},
		{TEXT("\xe2\x82\n"), "\\xe2\\x82\\x0a"},
		{TEXT("\x80x\xff"), "\\x80x\\xff"},
	};
	char out[100];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_ptr_equal(log_escape(out, sizeof(out), cases[i].in, cases[i].n), out);
		assert_string_equal(out, cases[i].out);
		for (size_t cap = 1; cap <= strlen(cases[i].out) + 1; cap++) {
			char *exact = malloc(cap); /* one byte too many is seen */

			assert_non_null(exact);
			(void)log_escape(exact, cap, cases[i].in, cases[i].n);
			assert_true(strlen(exact) < cap);
			assert_memory_equal(exact, cases[i].out, strlen(exact));
			free(exact);
		}
	}
}

/* Marks that begin a line, or turn the order of what follows, in a value and in a text. */
static void
marks_that_move_text(void **state)
{
	static const uint32_t marks[] = {0x61c,  0x200e, 0x200f, 0x2028, 0x2029,
					 0x202a, 0x202e, 0x2066, 0x2069},
			      fine[] = {0x61b,  0x61d,  0x200d, 0x2010,
					0x2027, 0x202f, 0x2065, 0x206a};

	(void)state;
	for (size_t i = 0; i < COUNT(marks) + COUNT(fine); i++) {
		uint32_t u = i < COUNT(marks) ? marks[i] : fine[i - COUNT(marks)];
		char in[4] = {0}, line[LOG_LINE_MAX];
		struct log_line l;
		bool kept;

		if (u < 0x800) {
			in[0] = (char)(0xc0 | u >> 6);
			in[1] = (char)(0x80 | (u & 63));
		} else {
			in[0] = (char)(0xe0 | u >> 12);
			in[1] = (char)(0x80 | (u >> 6 & 63));
			in[2] = (char)(0x80 | (u & 63));
		}
		log_begin(&l, LOG_LVL_DEBUG, "e");
		log_cstr(&l, "user", in);
		(void)log_render_text(&l, 0, line, sizeof(line));
		kept = strstr(line, in) != NULL;
		assert_int_equal(kept, i >= COUNT(marks));
		log_begin(&l, LOG_LVL_DEBUG, "e");
		log_textf(&l, "user %s", in);
		(void)log_render_json(&l, 0, line, sizeof(line));
		kept = strstr(line, in) != NULL;
		assert_int_equal(kept, i >= COUNT(marks));
		assert_true(is_json(line));
	}
}

/* One line stays one line, and JSON stays JSON, whatever the value is. */
static void
any_bytes_in_a_line(void **state)
{
	char out[2 * LOG_LINE_MAX], value[600];
	uint32_t seed = 7;

	(void)state;
	for (size_t round = 0; round < 3000; round++) {
		struct log_line l;
		size_t n = round % sizeof(value);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			value[i] = (char)(seed >> (round % 3 ? 24 : 27));
		}
		log_begin(&l, LOG_LVL_INFO, "e");
		log_str(&l, "a", value, n);
		value[sizeof(value) - 1] = '\0';
		log_cstr(&l, "b", value);
		log_textf(&l, "%.*s", (int)n, value);
		assert_true(log_render_text(&l, 0, out, sizeof(out)) == strlen(out));
		for (const char *p = out; *p; p++)
			assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
		assert_true(log_render_json(&l, 0, out, sizeof(out)) == strlen(out));
		if (!is_json(out))
			fail_msg("round %zu: %s", round, out);
	}
}

static void
fields_cannot_be_forged(void **state)
{
	static const struct {
		const char *value, *rendered;
	} cases[] = {
		{"ann", "k=ann"},
		{"", "k=\"\""},
		{"a b", "k=\"a b\""},
		{"a=b", "k=\"a=b\""},
		{"x peer=1.2.3.4", "k=\"x peer=1.2.3.4\""},
		{"x\" peer=\"1.2.3.4", "k=\"x\\x22 peer=\\x221.2.3.4\""},
		{"x\n2026 error", "k=\"x\\x0a2026 error\""},
	};
	struct log_line l;
	char out[300], expected[300];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		log_begin(&l, LOG_LVL_WARNING, "e");
		log_cstr(&l, "k", cases[i].value);
		(void)log_render_text(&l, 1795456800123, out, sizeof(out));
		snprintf(expected, sizeof(expected), "2026-11-23T18:00:00.123Z warning e %s",
			 cases[i].rendered);
		assert_string_equal(out, expected);
	}
}

/* At every size: cut, or left out, but never broken. */
static void
lines_are_cut(void **state)
{
	struct log_line l;
	char all[LOG_LINE_MAX], *out;
	size_t n, head = strlen("{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"debug\"");

	(void)state;
	log_begin(&l, LOG_LVL_DEBUG, "e");
	log_num(&l, "n", INT64_MAX);
	log_cstr(&l, "s", "a \"\xe2\x82\xac\"");
	log_textf(&l, "a \"text\" \\ %d", 5);
	n = log_render_text(&l, 0, all, sizeof(all));
	for (size_t cap = 1; cap < n + 3; cap++) {
		out = malloc(cap);
		assert_non_null(out);
		assert_int_equal(log_render_text(&l, 0, out, cap), cap - 1 < n ? cap - 1 : n);
		assert_int_equal(strlen(out), cap - 1 < n ? cap - 1 : n);
		assert_memory_equal(out, all, strlen(out));
		free(out);
	}
	n = log_render_json(&l, 0, all, sizeof(all));
	for (size_t cap = head + 2; cap < n + 3; cap++) {
		out = malloc(cap);
		assert_non_null(out);
		assert_true(log_render_json(&l, 0, out, cap) < cap);
		if (!is_json(out))
			fail_msg("%zu: %s", cap, out);
		free(out);
	}
	assert_string_equal(
		all + head,
		",\"event\":\"e\",\"n\":9223372036854775807,"
		"\"s\":\"a \\\\x22\xe2\x82\xac\\\\x22\",\"text\":\"a \\\"text\\\" \\\\ 5\"}");
}

/* ---- levels, sinks, rates -------------------------------------------------------------------- */

static unsigned sunk;
static char last[LOG_LINE_MAX];

static void
count_line(const struct log_line *l, int64_t at_ms)
{
	sunk++;
	assert_true(at_ms > 0);
	(void)log_render_text(l, 0, last, sizeof(last));
}

static void
levels_and_sinks(void **state)
{
	struct log_line l;
	int was;

	(void)state;
	sunk = 0;
	log_set_sink(count_line);
	for (int max = LOG_LVL_ERROR; max <= LOG_LVL_DEBUG; max++) {
		unsigned before = sunk;

		log_set_level(max);
		for (int level = LOG_LVL_ERROR; level <= LOG_LVL_DEBUG; level++) {
			assert_int_equal(log_wanted(level), level <= max);
			log_msg(level, "e", "%s", "one");
			log_begin(&l, level, "e");
			log_end(&l);
		}
		assert_int_equal(sunk - before, 2 * (max - LOG_LVL_ERROR + 1));
	}
	log_set_level(LOG_LVL_INFO);
	log_audit(&l, "login");
	assert_true(l.audit && l.level == LOG_LVL_NOTICE);
	log_end(&l);
	assert_string_equal(last, "1970-01-01T00:00:00.000Z notice login");
	log_begin(&l, LOG_LVL_ERROR, "e");
	assert_false(l.audit);
	was = stderr_to("stderr");
	log_set_sink(NULL);
	log_msg(LOG_LVL_ERROR, "e", "two\nlines");
	log_msg(LOG_LVL_DEBUG, "e", "not wanted");
	stderr_back(was);
	assert_non_null(strstr(read_file("stderr"), " error e two\\x0alines\n"));
	assert_null(strstr(text, "wanted"));
	assert_true(text[text_n - 1] == '\n' && strchr(text, '\n') == text + text_n - 1);
}

static _Atomic int64_t now;

static int64_t
fake_clock(void)
{
	return now;
}

static struct log_rate rate;
static _Atomic unsigned passed;
static _Atomic uint64_t held_in_all;

static void *
many_failures(void *arg)
{
	uint64_t held;

	(void)arg;
	for (int i = 0; i < 5000; i++)
		if (log_rate_pass(&rate, &held)) {
			passed++;
			held_in_all += held;
		}
	return NULL;
}

static void
failures_that_repeat(void **state)
{
	struct log_rate one = {0}, other = {0};
	uint64_t held = 77;
	pthread_t thread[4];

	(void)state;
	clock_replace(fake_clock);
	now = 5000;
	assert_true(log_rate_pass(&one, &held));
	assert_int_equal(held, 0);
	for (int i = 0; i < 10; i++)
		assert_false(log_rate_pass(&one, &held));
	assert_true(log_rate_pass(&other, &held)); /* each on its own */
	now += 59999;
	assert_false(log_rate_pass(&one, &held));
	now += 1;
	assert_true(log_rate_pass(&one, &held));
	assert_int_equal(held, 11);
	now += 1000000; /* quiet for long: nothing is left */
	assert_true(log_rate_pass(&one, &held));
	assert_int_equal(held, 0);
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, many_failures, NULL), 0);
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(passed, 1);
	now += 60000;
	assert_true(log_rate_pass(&rate, &held));
	assert_int_equal(held_in_all + held, COUNT(thread) * 5000 - 1);
	clock_replace(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(marks_that_move_text),
		cmocka_unit_test(any_bytes_in_a_line),
		cmocka_unit_test(fields_cannot_be_forged),
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(levels_and_sinks),
		cmocka_unit_test(failures_that_repeat),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
