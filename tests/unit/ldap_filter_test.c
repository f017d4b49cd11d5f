/* SPDX-License-Identifier: Apache-2.0 */
/* Names into filters and DNs: every byte in every place, and the templates that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../backends/auth/ldap/filter.h"

static char *
fill(const char *t, enum template_kind kind, const char *name, size_t n, int32_t *ret_rc)
{
	struct template_names names;

	template_split((struct pm_str){name, n}, &names);
	names.dn = (struct pm_str){"cn=a,b=c", 8};
	return template_fill(t, kind, &names, ret_rc);
}

static void
expect(const char *t, enum template_kind kind, const char *name, const char *wanted)
{
	int32_t rc = PM_OK;
	char *got = fill(t, kind, name, strlen(name), &rc);

	if (wanted) {
		assert_int_equal(rc, PM_OK);
		assert_string_equal(got, wanted);
	} else {
		assert_null(got);
		assert_int_equal(rc, PM_NOENT);
	}
	free(got);
}

static void
parts_of_a_name(void **state)
{
	(void)state;
	expect("(uid=%n)", TEMPLATE_FILTER, "ann@example.org", "(uid=ann)");
	expect("(&(mail=%u)(dc=%d))", TEMPLATE_FILTER, "ann@b@example.org",
	       "(&(mail=ann@b@example.org)(dc=example.org))");
	expect("(uid=%n)", TEMPLATE_FILTER, "a@b@c", "(uid=a@b)");
	expect("(x=100%%)", TEMPLATE_FILTER, "a", "(x=100%)");
	expect("(member=%D)", TEMPLATE_FILTER, "a", "(member=cn\\3da\\2cb\\3dc)");
	expect("uid=%n,dc=%d", TEMPLATE_DN, "ann@example.org", "uid=ann,dc=example.org");
	expect("%n@ad.test", TEMPLATE_PLAIN, "ann", "ann@ad.test");
	expect("(dc=%d)", TEMPLATE_FILTER, "ann", NULL);
	expect("(uid=%n)", TEMPLATE_FILTER, "@example.org", NULL);
	expect("%n@ad.test", TEMPLATE_PLAIN, "ann\\x", NULL);
	expect("%n@ad.test", TEMPLATE_PLAIN, "an n", NULL);
}

static void
bytes_that_must_be_escaped(void **state)
{
	(void)state;
	expect("(uid=%u)", TEMPLATE_FILTER, "*)(uid=*", "(uid=\\2a\\29\\28uid\\3d\\2a)");
	expect("(uid=%u)", TEMPLATE_FILTER, "a\\2a", "(uid=a\\5c2a)");
	expect("(uid=%u)", TEMPLATE_FILTER, "%u%n", "(uid=\\25u\\25n)");
	expect("uid=%u,o=x", TEMPLATE_DN,
	       " a,b+c\"#;<>=", "uid=\\20a\\2cb\\2bc\\22\\23\\3b\\3c\\3e\\3d,o=x");
	expect("(uid=%u)", TEMPLATE_FILTER, "\xc3\xa4", "(uid=\\c3\\a4)");
}

/* The inverse of RFC 4515 and RFC 4514 escapes, as strict as we write them. */
static size_t
unescape(const char *p, size_t n, char *to)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		char hex[3] = {0}, *end;

		if (p[i] != '\\') {
			assert_null(strchr("*()\\,+\"<>;=# ", p[i]));
			assert_true((unsigned char)p[i] > 0x20 && (unsigned char)p[i] < 0x7f);
			to[m++] = p[i];
			continue;
		}
		assert_true(i + 2 < n);
		memcpy(hex, p + i + 1, 2);
		to[m++] = (char)strtoul(hex, &end, 16);
		assert_ptr_equal(end, hex + 2);
		i += 2;
	}
	return m;
}

/* First, middle, last and only, twice in a row: the filled-in text is the name, and one value. */
static void
every_byte_everywhere(void **state)
{
	static const struct {
		const char *template;
		enum template_kind kind;
		size_t before, behind;
	} in[] = {{"(uid=%u)", TEMPLATE_FILTER, 5, 1}, {"uid=%u,o=x", TEMPLATE_DN, 4, 4}};

	(void)state;
	for (int c = 0; c < 256; c++) {
		char b = (char)c,
		     names[5][4] = {
			     {b, 'a', 'a', 'a'}, {'a', b, b, 'a'}, {'a', 'a', 'a', b}, {b}, {b, b}};
		size_t lengths[5] = {4, 4, 4, 1, 2};

		for (int k = 0; k < 5; k++) {
			for (size_t t = 0; t < 2; t++) {
				int32_t rc;
				char *got = fill(in[t].template, in[t].kind, names[k], lengths[k],
						 &rc),
				     back[16];
				size_t n;

				assert_non_null(got);
				n = strlen(got);
				assert_memory_equal(got, in[t].template, in[t].before);
				assert_string_equal(got + n - in[t].behind,
						    in[t].template + strlen(in[t].template) -
							    in[t].behind);
				n = unescape(got + in[t].before, n - in[t].before - in[t].behind,
					     back);
				assert_int_equal(n, lengths[k]);
				assert_memory_equal(back, names[k], n);
				free(got);
			}
		}
	}
}

static void
templates_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"uid=%u",  "(uid=%u",    "(uid=%u))", "(%u=x)",    "(uid=%u)(x=y)",   "(uid=%x)",
		"(uid=%)", "(&(%n=%u))", "",          "(uid=%u) ", "(&(uid=a)(%d=1))"};
	static const char *const good[] = {"(uid=%u)", "(&(objectClass=*)(|(uid=%n)(mail=%u)))",
					   "(!(uid=%u))", "(member:1.2.840.113556.1.4.1941:=%u)",
					   "(cn=a*%n*%%)"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(template_fault(bad[i], TEMPLATE_FILTER, "und"));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(template_fault(good[i], TEMPLATE_FILTER, "und"));
	assert_non_null(template_fault("%n=x,o=y", TEMPLATE_DN, "und"));
	assert_non_null(template_fault("uid=a,%n=x", TEMPLATE_DN, "und"));
	assert_null(template_fault("uid=%n+cn=%u,dc=%d,o=a\\,b", TEMPLATE_DN, "und"));
	assert_non_null(template_fault("uid=%n,dc=%D", TEMPLATE_DN, "und"));
	assert_null(template_fault("DOMAIN\\%n", TEMPLATE_PLAIN, "und"));
}

static void
looking_at_templates(void **state)
{
	char letter = 0;
	struct pm_str a =
		template_name_attribute("(&(objectClass=person)(|(uid=%n)(mail=%u)))", &letter);

	(void)state;
	assert_int_equal(a.n, 3);
	assert_memory_equal(a.p, "uid", 3);
	assert_int_equal(letter, 'n');
	a = template_name_attribute("(&(dc=%d)(mail~=%u))", &letter);
	assert_int_equal(a.n, 4);
	assert_memory_equal(a.p, "mail", 4);
	assert_int_equal(letter, 'u');
	assert_int_equal(template_name_attribute("(a=b)", &letter).n, 0);
	assert_true(template_has("a%%%n", 'n'));
	assert_false(template_has("a%%n", 'n'));
	assert_false(template_has("a%", 'n'));
	assert_int_equal(template_bind_kind("uid=%n,o=x"), TEMPLATE_DN);
	assert_int_equal(template_bind_kind("%n@x"), TEMPLATE_PLAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_name),
		cmocka_unit_test(bytes_that_must_be_escaped),
		cmocka_unit_test(every_byte_everywhere),
		cmocka_unit_test(templates_that_are_refused),
		cmocka_unit_test(looking_at_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
