/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

/* ---- a host that keeps what it is told ------------------------------------------------------- */

static char said[2048];
static size_t said_n;
static int32_t said_level;
static char memory[256];
static size_t memory_left;

static void
keep(struct pm_str text)
{
	assert_true(text.n < sizeof(said));
	memcpy(said, text.p, text.n);
	said[said_n = text.n] = '\0';
}

static int64_t
now(void *ctx)
{
	return *(int64_t *)ctx;
}

static void
host_log(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	said_level = level;
	keep(text);
}

static void
report_error(const struct pm_report *report, struct pm_str key, struct pm_str text)
{
	(void)report;
	assert_true(sdk_str_is(key, "key"));
	keep(text);
}

static void
call_error(const struct pm_call *call, struct pm_str text)
{
	(void)call;
	keep(text);
}

static void *
call_alloc(const struct pm_call *call, size_t n)
{
	(void)call;
	if (n > memory_left)
		return NULL;
	memory_left -= n;
	return memory + memory_left;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
strings(void **state)
{
	static const struct pm_str lit = SDK_STR("abc");
	struct pm_str none = sdk_str(NULL);
	char *copy;

	(void)state;
	assert_int_equal(lit.n, 3);
	assert_true(none.n == 0 && sdk_str_is(none, ""));
	assert_true(sdk_str_is(sdk_str("abc"), "abc"));
	assert_false(sdk_str_is(sdk_str("abc"), "ab"));
	assert_false(sdk_str_is((struct pm_str){"a\0c", 3}, "a"));
	copy = sdk_strdup((struct pm_str){"abcdef", 3});
	assert_string_equal(copy, "abc");
	free(copy);
	copy = sdk_strdup(none);
	assert_string_equal(copy, "");
	free(copy);
}

static void
copies_in_the_calls_memory(void **state)
{
	struct pm_call call = {.size = sizeof(call), .alloc = call_alloc};
	struct pm_str s;

	(void)state;
	memory_left = 8;
	s = sdk_call_dup(&call, "abcd", 3);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.p, "abc");
	s = sdk_call_dup(&call, NULL, 0);
	assert_true(s.p != NULL && s.n == 0);
	s = sdk_call_dup(&call, "too long", 8);
	assert_true(s.p == NULL && s.n == 0);
}

/* Records of a host that knows more than we do: the stride counts, not our size (R1). */
static void
options_are_read_by_stride(void **state)
{
	struct {
		struct pm_value v;
		char future[24];
	} values[] = {
		{{.size = sizeof(values[0]), .key = SDK_STR("user"), .str = SDK_STR("ann")}, ""},
		{{.size = sizeof(values[0]),
		  .key = SDK_STR("wait"),
		  .num = 250,
		  .str = SDK_STR("250ms")},
		 ""},
		{{.size = sizeof(values[0]), .key = SDK_STR("user"), .str = SDK_STR("ben")}, ""},
	};
	struct pm_open open = {.size = sizeof(open),
			       .options = &values[0].v,
			       .n_options = 3,
			       .option_stride = sizeof(values[0])};

	(void)state;
	assert_true(sdk_str_is(sdk_opt(&open, "user", 0)->str, "ann"));
	assert_true(sdk_str_is(sdk_opt(&open, "user", 1)->str, "ben"));
	assert_null(sdk_opt(&open, "user", 2));
	assert_null(sdk_opt(&open, "use", 0));
	assert_int_equal(sdk_opt_num(&open, "wait", 7), 250);
	assert_int_equal(sdk_opt_num(&open, "none", 7), 7);
	assert_true(sdk_str_is(sdk_opt_str(&open, "wait"), "250ms"));
	assert_int_equal(sdk_opt_str(&open, "none").n, 0);
}

static void
a_table_of_options(void **state)
{
	static const struct pm_option table[] = {
		SDK_OPT("wait", PM_OPT_NUMBER, PM_OPTF_SECRET, "ms", "2s", "how long"),
		SDK_OPT("file", PM_OPT_PATH, PM_OPTF_LIST | PM_OPTF_REQUIRED, "", "", "where"),
	};

	(void)state;
	assert_int_equal(table[0].size, sizeof(struct pm_option));
	assert_int_equal(table[0].type, PM_OPT_NUMBER);
	assert_int_equal(table[0].flags, PM_OPTF_SECRET);
	assert_true(sdk_str_is(table[0].key, "wait") && sdk_str_is(table[0].unit, "ms"));
	assert_true(sdk_str_is(table[0].dflt, "2s") && sdk_str_is(table[0].doc, "how long"));
	assert_int_equal(table[1].flags, PM_OPTF_LIST | PM_OPTF_REQUIRED);
	assert_true(table[1].unit.n == 0 && table[1].dflt.n == 0);
}

static void
texts_are_formatted_and_cut(void **state)
{
	struct pm_host host = {.size = sizeof(host), .log = host_log};
	struct pm_report report = {.size = sizeof(report), .error = report_error};
	struct pm_open open = {.size = sizeof(open), .report = &report};
	struct pm_call call = {.size = sizeof(call), .error = call_error};
	char text[3000];

	(void)state;
	sdk_log(&host, PM_LOG_NOTICE, "%s: %d", "lines", 3);
	assert_string_equal(said, "lines: 3");
	assert_int_equal(said_level, PM_LOG_NOTICE);
	sdk_report(&open, "key", "%d%%", 5);
	assert_string_equal(said, "5%");
	sdk_error(&call, "%s", "why");
	assert_string_equal(said, "why");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	sdk_error(&call, "the path '%s': see the setting 'path'", text);
	assert_int_equal(said_n, PM_ERROR_MAX);
	assert_memory_equal(said, "the path 'xxx", 13);
	assert_non_null(strstr(said, "xxx...xxx"));
	assert_string_equal(said + said_n - 22, "see the setting 'path'");
	/* characters of three bytes are not torn, wherever they lie */
	for (size_t k = 0; k < 300; k += 3)
		memcpy(text + k, "\u20ac", 3);
	text[300] = '\0';
	for (int k = 0; k < 3; k++) {
		sdk_error(&call, "%.*s%s%.*s", k, "ab", text, 2 - k, "cd");
		assert_in_range(said_n, PM_ERROR_MAX - 4, PM_ERROR_MAX);
		assert_memory_equal(strstr(said, "...") - 3, "\u20ac...\u20ac", 9);
	}
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	sdk_log(&host, PM_LOG_NOTICE, "%s", text);
	assert_int_equal(said_n, 1023);
}

static void
bits_of_a_map(void **state)
{
	static const uint8_t map[] = {0x81, 0x02};

	(void)state;
	for (uint64_t i = 0; i < 16; i++) {
		assert_int_equal(sdk_bit(map, i), i == 0 || i == 7 || i == 9);
		assert_false(sdk_bit(NULL, i));
	}
}

static void
time_left(void **state)
{
	int64_t t = 1000;
	struct pm_host host = {.size = sizeof(host), .ctx = &t, .now_ms = now};
	struct pm_call call = {.size = sizeof(call), .deadline_ms = 1500};

	(void)state;
	assert_int_equal(sdk_left_ms(&host, &call), 500);
	t = 1500;
	assert_int_equal(sdk_left_ms(&host, &call), 0);
	t = 9000;
	assert_int_equal(sdk_left_ms(&host, &call), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),
		cmocka_unit_test(copies_in_the_calls_memory),
		cmocka_unit_test(options_are_read_by_stride),
		cmocka_unit_test(a_table_of_options),
		cmocka_unit_test(texts_are_formatted_and_cut),
		cmocka_unit_test(bits_of_a_map),
		cmocka_unit_test(time_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
