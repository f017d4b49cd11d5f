/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of a name that filters and DNs give, and the searches needed where they give none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../backends/auth/ldap/prove.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
filters(void **state)
{
	static const struct {
		const char *filter;
		char letter;
		bool within, all;
		const char *others;
	} cases[] = {
		{"(uid=%n)", 'n', false, true, "(&(uid=*)(uid=%n))"},
		{"(UID=%n)", 'n', false, true, "(&(UID=*)(uid=%n))"},
		{"(uid=%n)", 'u', false, false, "(&(uid=*)(uid=%n))"},
		{"(uid=%u)", 'u', false, true, "(&(uid=*)(uid=%n))"},
		{"(mail=%u)", 'u', false, false, "(&(mail=*)(uid=%n))"},
		{"(uid=x%n)", 'n', false, false, "(&(uid=*)(uid=%n))"},
		{"(uid~=%n)", 'n', false, false, "(&(uid=*)(uid=%n))"},
		{"(uid>=%n)", 'n', false, false, "(&(uid=*)(uid=%n))"},
		{"(uid:caseExactMatch:=%n)", 'n', false, false, "(&(objectClass=*)(uid=%n))"},
		{"(:dn:2.5.13.5:=%n)", 'n', false, false, "(&(objectClass=*)(uid=%n))"},
		{"(uid=a%%n)", 'n', false, false, "(&(uid=a%%n)(uid=%n))"},
		{"(|(uid=%n)(mail=%u))", 'n', false, true, "(&(|(uid=*)(mail=*))(uid=%n))"},
		{"(&(objectClass=person)(uid=%n))", 'n', false, true,
		 "(&(&(objectClass=person)(uid=*))(uid=%n))"},
		{"(& (|(mail=%u)(uid=%n)) (!(off=1)) )", 'n', false, true,
		 "(&(&(|(mail=*)(uid=*))(!(off=1)))(uid=%n))"},
		{"(&(uid=%n)(mail=%u))", 'n', false, false, "(&(&(uid=*)(mail=*))(uid=%n))"},
		{"(&(uid=%n)(o=%d))", 'n', false, false, "(&(&(uid=*)(o=*))(uid=%n))"},
		{"(&(uid=%n)(o=%d))", 'n', true, true, "(&(&(uid=*)(o=%d))(uid=%n))"},
		{"(!(uid=%n))", 'n', false, false, "(&(objectClass=*)(uid=%n))"},
		{"(&(a=1)(!(|(uid=%n)(b=2))))", 'n', false, false,
		 "(&(&(a=1)(objectClass=*))(uid=%n))"},
		{"(|(a=1)(&(b=2)(uid=%n)))", 'n', false, true,
		 "(&(|(a=1)(&(b=2)(uid=*)))(uid=%n))"},
		{"(uidnumber=%n)", 'n', false, false, "(&(uidnumber=*)(uid=%n))"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *others = prove_namesakes(cases[i].filter, "uid", cases[i].within);
		bool all =
			prove_finds_all(cases[i].filter, "uid", cases[i].letter, cases[i].within);

		assert_non_null(others);
		if (all != cases[i].all || strcmp(others, cases[i].others) != 0)
			fail_msg("%s: %d, %s", cases[i].filter, all, others);
		free(others);
	}
}

static void
any_entry(void **state)
{
	char *others = prove_namesakes(NULL, "cn", false);

	(void)state;
	assert_string_equal(others, "(&(cn=%n))");
	free(others);
}

static void
roots(void **state)
{
	static const struct {
		const char *dn;
		bool within;
		const char *root;
	} cases[] = {
		{"ou=people,dc=test", false, "ou=people,dc=test"},
		{"uid=%n,ou=people,dc=test", false, "ou=people,dc=test"},
		{"uid=%n,ou=%d, dc=test", false, "dc=test"},
		{"uid=%n,ou=%d,dc=test", true, "ou=%d,dc=test"},
		{"ou=%d,dc=test", true, "ou=%d,dc=test"},
		{"ou=people,o=%d,dc=test", false, "dc=test"},
		{"o=%d\\,x;dc=test", false, "dc=test"},
		{"o=100%%,dc=test", false, "o=100%%,dc=test"},
		{"o=%d", false, ""},
		{"uid=%u", true, ""},
		{"o=%d\\", false, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (strcmp(prove_root(cases[i].dn, cases[i].within), cases[i].root) != 0)
			fail_msg("%s: %s", cases[i].dn, prove_root(cases[i].dn, cases[i].within));
}

static void
what_varies(void **state)
{
	(void)state;
	assert_false(prove_varies("ou=people", false));
	assert_false(prove_varies("ou=%%n", false));
	assert_true(prove_varies("ou=%d", false));
	assert_false(prove_varies("ou=%d", true));
	assert_true(prove_varies("uid=%u", true));
	assert_true(prove_only("uid=%n,ou=people", 'n', false));
	assert_true(prove_only("uid=%n,cn=%n", 'n', false));
	assert_false(prove_only("uid=%n,cn=%u", 'n', false));
	assert_false(prove_only("uid=%u,cn=%n", 'n', false));
	assert_false(prove_only("uid=%n,ou=%d", 'n', false));
	assert_true(prove_only("uid=%n,ou=%d", 'n', true));
	assert_false(prove_only("ou=people", 'n', false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters),
		cmocka_unit_test(any_entry),
		cmocka_unit_test(roots),
		cmocka_unit_test(what_varies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
