/* SPDX-License-Identifier: Apache-2.0 */
/* The text of metrics, and the counters they are made of. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/expo.h"
#include "base/stats.h"

/* The text so far, terminated; freed by the next call. */
static const char *
text_of(struct expo *e)
{
	static char buf[4096];
	size_t n = 0;
	char *text = expo_take(e, &n);

	assert_non_null(text);
	assert_true(n < sizeof(buf));
	memcpy(buf, text, n + 1);
	assert_int_equal(strlen(buf), n); /* the answer to restantectl takes it as a string */
	free(text);
	expo_fini(e);
	return buf;
}

static void
a_family_has_help_type_and_samples(void **state)
{
	struct expo e = {0};

	(void)state;
	expo_family(&e, "x_total", EXPO_COUNTER, "How many.");
	expo_count(&e, 0);
	expo_label(&e, "a", "1");
	expo_label(&e, "b", "2");
	expo_count(&e, UINT64_MAX);
	expo_family(&e, "y_seconds", EXPO_GAUGE, "How long.");
	expo_seconds(&e, 1500000);
	expo_seconds(&e, 1);
	expo_seconds(&e, -2000001);
	expo_family(&e, "z_seconds", EXPO_HISTOGRAM, "In all.");
	expo_part(&e, "_bucket");
	expo_label(&e, "le", "+Inf");
	expo_count(&e, 3);
	expo_part(&e, "_sum");
	expo_seconds(&e, 0);
	assert_string_equal(
		text_of(&e),
		"# HELP x_total How many.\n# TYPE x_total counter\nx_total 0\n"
		"x_total{a=\"1\",b=\"2\"} 18446744073709551615\n"
		"# HELP y_seconds How long.\n# TYPE y_seconds gauge\ny_seconds 1.500000\n"
		"y_seconds 0.000001\ny_seconds -2.000001\n"
		"# HELP z_seconds In all.\n# TYPE z_seconds histogram\n"
		"z_seconds_bucket{le=\"+Inf\"} 3\nz_seconds_sum 0.000000\n");
}

static void
label_values_are_escaped(void **state)
{
	static const struct {
		const char *value, *text;
	} cases[] = {
		{"", ""},
		{"plain-1.2:x", "plain-1.2:x"},
		{"a\"b", "a\\\"b"},
		{"a\\b", "a\\\\b"},
		{"a\nb", "a\\nb"},
		{"\\n\"", "\\\\n\\\""},
		{"a\tb\rc\x01\x7f", "a?b?c??"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xe6\x97\xa5\xf0\x9f\x93\xae", "\xe6\x97\xa5\xf0\x9f\x93\xae"},
		{"\xff", "?"},
		{"\xc3", "?"},                /* cut */
		{"\xc0\xaf", "??"},           /* not the shortest form */
		{"\xed\xa0\x80", "???"},      /* a surrogate */
		{"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
		{"\xe2\x82z", "??z"},
		{"}\n# TYPE evil counter\nevil 1", "}\\n# TYPE evil counter\\nevil 1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct expo e = {0};
		char want[128];

		expo_family(&e, "x", EXPO_GAUGE, "h");
		expo_label(&e, "l", cases[i].value);
		expo_count(&e, 1);
		snprintf(want, sizeof(want), "# HELP x h\n# TYPE x gauge\nx{l=\"%s\"} 1\n",
			 cases[i].text);
		assert_string_equal(text_of(&e), want);
	}
}

static void
help_is_one_line(void **state)
{
	struct expo e = {0};

	(void)state;
	expo_family(&e, "x", EXPO_GAUGE, "a\\b \"c\"\nd");
	assert_string_equal(text_of(&e), "# HELP x a\\\\b \"c\"\\nd\n# TYPE x gauge\n");
}

static void
too_much_is_no_text_at_all(void **state)
{
	struct expo e = {0};
	size_t n;

	(void)state;
	expo_family(&e, "x", EXPO_GAUGE, "h");
	for (size_t i = 0; i < EXPO_MAX / 4; i++)
		expo_count(&e, 10);
	assert_true(e.failed);
	assert_true(e.cap <= EXPO_MAX);
	assert_null(expo_take(&e, &n));
	expo_fini(&e);
}

/* ---- counters -------------------------------------------------------------------------------- */

#define THREADS 8
#define TIMES 20000

static void *
count(void *arg)
{
	(void)arg;
	for (int i = 0; i < TIMES; i++) {
		stat_add(STAT_RETRIEVED, 1);
		stat_add(STAT_OCTETS_OUT, 1000);
	}
	return NULL;
}

/* Threads that have ended still count; and a reader never sees a counter go back. */
static void
counts_of_all_threads_add_up(void **state)
{
	uint64_t before = stat_get(STAT_RETRIEVED), octets = stat_get(STAT_OCTETS_OUT),
		 last = before;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t now = stat_get(STAT_RETRIEVED);

		assert_true(now >= last);
		last = now;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(stat_get(STAT_RETRIEVED) - before, THREADS * TIMES);
	assert_int_equal(stat_get(STAT_OCTETS_OUT) - octets, (uint64_t)THREADS * TIMES * 1000);
}

/* ---- the table of counters ------------------------------------------------------------------- */

static char doc[400000];

static int
doc_read(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[4096];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/doc/admin.md", top ? top : ".");
	f = fopen(path, "r");
	if (!f)
		return -1;
	doc[fread(doc, 1, sizeof(doc) - 1, f)] = '\0';
	return fclose(f);
}

static void
every_counter_has_a_name_of_its_own(void **state)
{
	char names[STAT_MAX][STAT_NAME_MAX];

	(void)state;
	assert_non_null(stat_row(0)->family);
	for (int i = 0; i < STAT_MAX; i++) {
		const struct stat_row *r = stat_row((enum stat_id)i);
		size_t n = r->family ? strlen(r->family) : 0;

		assert_true(!r->family == !r->help);
		assert_true(!r->family || (n > 15 && strncmp(r->family, "restante_", 9) == 0 &&
					   strcmp(r->family + n - 6, "_total") == 0));
		assert_true(r->family || r->labels[0].key);
		(void)stat_name((enum stat_id)i, names[i]);
		assert_true(strlen(names[i]) < STAT_NAME_MAX - 1);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(names[i], names[k]);
	}
	assert_string_equal(names[STAT_RETRIEVED], "messages_retrieved");
	assert_string_equal(names[STAT_TLS13], "tls_handshakes_completed_1.3");
}

/* The row of a family in doc/admin.md, with its labels and its type; "": there is none. */
static const char *
doc_row(const struct stat_row *r)
{
	static char row[1000];
	char begin[200];
	const char *at;

	snprintf(begin, sizeof(begin), "\n| `%s%s%s%s%s%s` | counter | ", r->family,
		 r->labels[0].key ? "{" : "", r->labels[0].key ? r->labels[0].key : "",
		 r->labels[1].key ? "," : "", r->labels[1].key ? r->labels[1].key : "",
		 r->labels[0].key ? "}" : "");
	at = strstr(doc, begin);
	snprintf(row, sizeof(row), "%.*s", at ? (int)strcspn(at + 1, "\n") + 1 : 0, at ? at : "");
	return row;
}

static void
the_manual_explains_each_counter(void **state)
{
	const char *row = "";
	size_t missing = 0;

	(void)state;
	for (int i = 0; i < STAT_MAX; i++) {
		const struct stat_row *r = stat_row((enum stat_id)i);
		bool there = true;

		row = r->family ? doc_row(r) : row;
		for (size_t k = 0; k < STAT_LABELS && r->labels[k].key; k++) {
			char value[60];

			snprintf(value, sizeof(value), "`%s`", r->labels[k].value);
			there = there && strstr(row, value);
		}
		if (*row && there)
			continue;
		print_message(
			"# doc/admin.md lacks the row, or a value of a label, of counter %s\n",
			stat_name((enum stat_id)i, (char[STAT_NAME_MAX]){0}));
		missing++;
	}
	assert_int_equal(missing, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_has_help_type_and_samples),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(help_is_one_line),
		cmocka_unit_test(too_much_is_no_text_at_all),
		cmocka_unit_test(counts_of_all_threads_add_up),
		cmocka_unit_test(every_counter_has_a_name_of_its_own),
		cmocka_unit_test(the_manual_explains_each_counter),
	};

	return cmocka_run_group_tests(tests, doc_read, NULL);
}
