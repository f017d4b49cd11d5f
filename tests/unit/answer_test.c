/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of fields: from a struct to JSON and back; restantectl(8) names exactly these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "answer/answers.h"

#define MAN "/doc/man/restantectl.8"
#define KIND_MAX 48

#define TABLE(name, heading, table) &answers_##name,

static const struct fields *const tables[] = {ANSWERS(TABLE) NULL};

/* ---- values ---------------------------------------------------------------------------------- */

static void
a_struct_comes_back_as_it_was(void **state)
{
	const struct answer_volume in = {.volume = "disk",
					 .state = "ok",
					 .octets = 1,
					 .available = UINT32_MAX + 1ull,
					 .path = "/srv/gr\xc3\xbc\xc3\x9f",
					 .released = 7,
					 .detail = ""};
	const struct answer_module_gate gate = {.permits = 3};
	struct answer_volume out;
	struct answer_module_gate none;
	json_t *o = answers_new();

	(void)state;
	ANSWER_PUT(o, volume, &in);
	assert_true(ANSWER_GET(o, volume, &out));
	assert_string_equal(out.volume, "disk");
	assert_int_equal(out.octets, 1);
	assert_true(out.available == in.available);
	assert_string_equal(out.path, in.path);
	assert_int_equal(out.released, 7);
	assert_string_equal(out.detail, "");
	assert_null(json_object_get(o, "mount")); /* NULL */
	assert_string_equal(out.mount, "");
	assert_false(ANSWER_GET(o, module_gate, &none));
	ANSWER_PUT(o, module_gate, &gate);
	assert_null(json_object_get(o, "gate"));
	assert_true(json_is_integer(json_object_get(o, "permits")));
	json_decref(o);
}

static void
a_missing_field_or_one_of_another_type_is_nothing(void **state)
{
	static const char text[] = "{\"user\": 1, \"pop3\": \"yes\", \"quota_octets\": \"9\"}";
	struct answer_account a;
	json_t *o = json_loads(text, 0, NULL);

	(void)state;
	ANSWER_GET(o, account, &a);
	assert_string_equal(a.user, "");
	assert_string_equal(a.home, "");
	assert_false(a.pop3);
	assert_int_equal(a.quota_octets, 0);
	json_decref(o);
	assert_false(ANSWER_GET(NULL, account, &a));
}

static void
a_text_that_is_not_utf8_is_not_left_out(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"zo\xc3\xab", "zo\xc3\xab"},
		{"zo\xc3", "zo"}, /* cut, as the table of sessions cuts long names */
		{"\xe6\x97", ""},
		{"a\xf0\x9f\x93", "a"},
		{"a\xffzo\xc3\xab", "a?zo??"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct answer_session in = {.user = cases[i].in};
		struct answer_session out;
		json_t *o = json_object();

		ANSWER_PUT(o, session, &in);
		assert_non_null(json_object_get(o, "user"));
		ANSWER_GET(o, session, &out);
		assert_string_equal(out.user, cases[i].out);
		json_decref(o);
	}
}

static void
an_error_is_refused_in_words(void **state)
{
	json_t *o = answers_error("no %s", "such session");
	struct answer_outcome a;

	(void)state;
	assert_true(ANSWER_GET(o, outcome, &a));
	assert_false(a.ok);
	assert_string_equal(a.error, "no such session");
	json_decref(o);
}

/* ---- the manual ------------------------------------------------------------------------------ */

static char man[200000];

static int
man_read(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[4096];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s" MAN, top ? top : ".");
	f = fopen(path, "r");
	if (!f)
		return -1;
	man[fread(man, 1, sizeof(man) - 1, f)] = '\0';
	return fclose(f);
}

/* The lines below a heading; "" : there is no such heading. Its end is at *ret_end. */
static const char *
man_section(const char *heading, const char **ret_end)
{
	char line[200];
	const char *at, *end;

	snprintf(line, sizeof(line), "\n.Ss %s\n", heading);
	at = strstr(man, line);
	if (!at)
		return "";
	at += strlen(line) - 1;
	end = strstr(at, "\n.S");
	*ret_end = end ? end : at + strlen(at);
	return at;
}

/* Is the field in one of the tables of this heading? */
static bool
is_field(const char *heading, const char *key)
{
	const struct fields *f;

	for (size_t i = 0; (f = tables[i]) != NULL; i++)
		for (size_t k = 0; strcmp(f->heading, heading) == 0 && k < f->n; k++)
			if (strcmp(f->list[k].key, key) == 0)
				return true;
	return false;
}

/* "number, seconds": the type and the unit of a field, as the manual gives them. */
static const char *
kind_of(const struct field *f, char buf[KIND_MAX])
{
	static const char *const types[] = {"text",    "text",   "number", "number",
					    "boolean", "object", "list"};
	static const char *const units[] = {
		"",         ", seconds", ", milliseconds",       ", microseconds",
		", octets", ", octets",  ", seconds since 1970", ", milliseconds since 1970"};

	snprintf(buf, KIND_MAX, "%s%s", types[f->type], units[f->unit]);
	return buf;
}

static void
the_manual_names_each_field_with_its_type_and_unit(void **state)
{
	const struct fields *f;
	size_t missing = 0;

	(void)state;
	for (size_t i = 0; (f = tables[i]) != NULL; i++)
		for (size_t k = 0; k < f->n; k++) {
			char line[200], kind[KIND_MAX];
			const char *end = NULL, *at, *section = man_section(f->heading, &end);

			snprintf(line, sizeof(line), "\n.It Li %s Pq %s\n", f->list[k].key,
				 kind_of(&f->list[k], kind));
			at = strstr(section, line);
			if (at && at < end)
				continue;
			print_message("# restantectl(8), .Ss %s, lacks:%s", f->heading, line);
			missing++;
		}
	assert_int_equal(missing, 0);
}

static void
and_no_other(void **state)
{
	const char *at = strstr(man, "\n.Sh ANSWERS\n"), *end;
	char heading[100] = "", key[100];
	size_t unknown = 0;

	(void)state;
	assert_non_null(at);
	end = strstr(at + 1, "\n.Sh ");
	assert_non_null(end);
	for (; at && at < end; at = strchr(at + 1, '\n')) {
		if (sscanf(at, "\n.Ss %99[^\n]", heading) == 1)
			continue;
		if (sscanf(at, "\n.It Li %99s", key) != 1 || is_field(heading, key))
			continue;
		print_message("# restantectl(8), .Ss %s: no answer has %s\n", heading, key);
		unknown++;
	}
	assert_int_equal(unknown, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_struct_comes_back_as_it_was),
		cmocka_unit_test(a_missing_field_or_one_of_another_type_is_nothing),
		cmocka_unit_test(a_text_that_is_not_utf8_is_not_left_out),
		cmocka_unit_test(an_error_is_refused_in_words),
		cmocka_unit_test(the_manual_names_each_field_with_its_type_and_unit),
		cmocka_unit_test(and_no_other),
	};

	return cmocka_run_group_tests(tests, man_read, NULL);
}
