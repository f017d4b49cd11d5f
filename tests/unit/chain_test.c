/* SPDX-License-Identifier: Apache-2.0 */
/* Names as strangers write them, the sections that are asked about them, and the storage of those
 * who are let in. */
#include "account/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <restante/module.h>

#include "account/lookup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) s, sizeof(s) - 1

/* ---- names ----------------------------------------------------------------------------------- */

static void
names(void **state)
{
	static const struct {
		const char *raw;
		size_t n;
		const char *domain;
		enum conf_name_case name_case;
		const char *name; /* NULL: refused */
	} cases[] = {
		{TEXT("ann"), NULL, CONF_CASE_LOWER, "ann"},
		{TEXT("Ann"), NULL, CONF_CASE_LOWER, "ann"},
		{TEXT("Ann"), NULL, CONF_CASE_KEEP, "Ann"},
		{TEXT("ANN"), "Example.ORG", CONF_CASE_LOWER, "ann@example.org"},
		{TEXT("ANN"), "Example.ORG", CONF_CASE_KEEP, "ANN@example.org"},
		{TEXT("ANN@X.Y"), "example.org", CONF_CASE_LOWER, "ann@x.y"},
		{TEXT("ANN@X.Y"), NULL, CONF_CASE_KEEP, "ANN@x.y"},
		/* the last one is the domain's */
		{TEXT("A@B@C"), "example.org", CONF_CASE_KEEP, "A@B@c"},
		{TEXT("A@B@C"), NULL, CONF_CASE_LOWER, "a@b@c"},
		{TEXT("Ann@"), "example.org", CONF_CASE_LOWER, "ann@"},
		{TEXT("a b%c/../d"), NULL, CONF_CASE_LOWER, "a b%c/../d"},
		/* the neighbours of the letters */
		{TEXT("[{`~"), NULL, CONF_CASE_LOWER, "[{`~"},
		/* the case of ASCII only */
		{TEXT("\xc3\x84NN"), NULL, CONF_CASE_LOWER, "\xc3\x84nn"},
		{TEXT(""), NULL, CONF_CASE_LOWER, NULL},
		{TEXT(""), "example.org", CONF_CASE_LOWER, NULL},
		{TEXT("@"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("@example.org"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("\0"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann\0@example.org"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann@example.org\0"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann\r\nuser=root"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("\tann"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann\x7f"), NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann@\x1b[2J"), NULL, CONF_CASE_LOWER, NULL},
		/* the same as one C1 control */
		{TEXT("ann\xc2\x9b"
		      "2J"),
		 NULL, CONF_CASE_LOWER, NULL},
		{TEXT("ann@ex\xff"), NULL, CONF_CASE_LOWER, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf c = {.default_domain = cases[i].domain,
				 .name_case = cases[i].name_case};
		char name[PM_NAME_MAX + 1];
		bool ok = chain_name(&c, cases[i].raw, cases[i].n, name);

		if (ok != (cases[i].name != NULL) || (ok && strcmp(name, cases[i].name) != 0))
			fail_msg("case %zu, '%s': %s", i, cases[i].raw, ok ? name : "refused");
	}
}

/* Both copies are just as large as promised, so that one byte too many is noticed. */
static bool
name_of_length(const struct conf *c, size_t n, char fill, size_t *ret_n)
{
	char *raw = malloc(n), *name = malloc(PM_NAME_MAX + 1);
	bool ok;

	assert_true(raw && name);
	memset(raw, fill, n);
	ok = chain_name(c, raw, n, name);
	*ret_n = ok ? strlen(name) : 0;
	free(raw);
	free(name);
	return ok;
}

static void
names_have_a_limit(void **state)
{
	struct conf with = {.default_domain = "example.org"}, without = {0};
	size_t n, most = PM_NAME_MAX - strlen("@example.org");
	char domain[PM_NAME_MAX + 2];

	(void)state;
	assert_true(name_of_length(&without, PM_NAME_MAX, 'x', &n));
	assert_int_equal(n, PM_NAME_MAX);
	assert_false(name_of_length(&without, PM_NAME_MAX + 1, 'x', &n));
	assert_false(name_of_length(&without, 1u << 20, 'x', &n));
	assert_true(name_of_length(&with, most, 'x', &n));
	assert_int_equal(n, PM_NAME_MAX);
	assert_false(name_of_length(&with, most + 1, 'x', &n));
	assert_false(name_of_length(&with, 1, '@', &n));
	memset(domain, 'd', sizeof(domain));
	domain[PM_NAME_MAX - 2] = '\0';
	with.default_domain = domain;
	assert_true(name_of_length(&with, 1, 'x', &n));
	assert_int_equal(n, PM_NAME_MAX);
	domain[PM_NAME_MAX - 2] = 'd';
	domain[PM_NAME_MAX + 1] = '\0';
	assert_false(name_of_length(&with, 1, 'x', &n));
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* The number in as many bytes as asked for, though it may need fewer. */
static void
encode(uint32_t c, size_t len, unsigned char *to)
{
	static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		to[i] = (unsigned char)(0x80 | (c & 0x3f));
	to[0] = (unsigned char)(heads[len] | c);
}

static bool
is_text(uint32_t c, size_t len)
{
	size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);

	return len == shortest && !control && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

/* Every number four bytes can hold, in every length it can have. */
static void
every_character(void **state)
{
	static const uint32_t room[] = {0, 0x80, 0x800, 0x10000, 0x200000};
	const struct conf c = {.name_case = CONF_CASE_KEEP};

	(void)state;
	for (size_t len = 1; len <= 4; len++) {
		for (uint32_t u = 0; u < room[len]; u++) {
			unsigned char raw[6] = {'x', 0, 0, 0, 0, 0};
			char name[PM_NAME_MAX + 1];
			bool ok;

			encode(u, len, raw + 1);
			ok = chain_name(&c, (char *)raw, 1 + len, name);
			if (ok != is_text(u, len))
				fail_msg("U+%04X in %zu bytes: %d", u, len, ok);
			if (ok)
				assert_memory_equal(name, raw, 1 + len + 1);
		}
	}
}

static void
broken_sequences(void **state)
{
	static const char *const whole[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xab"};
	const struct conf c = {0};
	char raw[8], name[PM_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(whole); i++) {
		size_t len = strlen(whole[i]);

		assert_true(chain_name(&c, whole[i], len, name));
		for (size_t cut = 1; cut < len; cut++) {
			char *exact = malloc(cut); /* nothing is read beyond the end */

			assert_non_null(exact);
			memcpy(exact, whole[i], cut);
			assert_false(chain_name(&c, exact, cut, name));
			free(exact);
		}
		for (size_t at = 1; at < len; at++) {
			static const char wrong[] = {'x',    '@',    '\0',  '\x7f',
						     '\xc0', '\xc3', '\xff'};

			for (size_t k = 0; k < sizeof(wrong); k++) {
				memcpy(raw, whole[i], len);
				raw[at] = wrong[k];
				assert_false(chain_name(&c, raw, len, name));
			}
		}
	}
	for (int head = 0x80; head <= 0xff; head++) { /* alone, or before a letter */
		raw[0] = (char)head;
		raw[1] = 'x';
		assert_false(chain_name(&c, raw, 1, name));
		assert_false(chain_name(&c, raw, 2, name));
	}
	for (int head = 0xf8; head <= 0xff; head++) { /* five bytes and six */
		memset(raw, 0x80, sizeof(raw));
		raw[0] = (char)head;
		for (size_t len = 2; len <= 7; len++)
			assert_false(chain_name(&c, raw, len, name));
	}
}

/* ---- the sections that are asked ------------------------------------------------------------- */

static void
sections_by_domain(void **state)
{
	const char *org[] = {"Example.org", "example.net"}, *below[] = {"*.example.ORG"};
	struct conf_section auth[] = {
		{.name = "wrapped", .only_wrapped = true},
		{.name = "org", .domains = org, .n_domains = 2},
		{.name = "below", .domains = below, .n_domains = 1},
		{.name = "wrapped too", .domains = org, .n_domains = 1, .only_wrapped = true},
		{.name = "all"},
	};
	const struct conf c = {.auth = auth, .n_auth = COUNT(auth)}, none = {0};
	static const struct {
		const char *name;
		int asked[3];
	} cases[] = {
		{"ann", {4, -1, -1}},
		{"ann@example.org", {1, 4, -1}},
		{"ann@example.net", {1, 4, -1}},
		{"ann@a.example.org", {2, 4, -1}},
		{"ann@b.a.example.org", {2, 4, -1}},
		{"ann@evilexample.org", {4, -1, -1}},
		{"ann@example.org.evil", {4, -1, -1}},
		{"ann@.example.org", {4, -1, -1}}, /* nothing is before the dot */
		{"ann@*.example.org", {2, 4, -1}},
		{"ann@example.or", {4, -1, -1}},
		{"ann@", {4, -1, -1}},
		{"example.org", {4, -1, -1}},
		{"ann@example.org@x", {4, -1, -1}}, /* the last one is the domain's */
		{"ann@x@example.org", {1, 4, -1}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int from = 0;

		for (size_t k = 0; k < 3 && (k == 0 || from > 0); k++) {
			int got = chain_next(&c, cases[i].name, from);

			if (got != cases[i].asked[k])
				fail_msg("%s: %d, not %d", cases[i].name, got, cases[i].asked[k]);
			from = got + 1;
		}
	}
	assert_int_equal(chain_next(&c, "ann", COUNT(auth)), -1);
	assert_int_equal(chain_next(&none, "ann", 0), -1);
}

/* Each code of the ABI, and some that are none: found, ask the next section, or no conclusion
 * at all. */
static void
every_answer_to_a_lookup(void **state)
{
	static const int32_t next[] = {PM_NOENT, PM_NEXT, PM_DENIED, PM_UNSUPPORTED};
	const struct conf_section s = {.name = "dir"};

	(void)state;
	for (int32_t rc = PM_EXISTS - 10; rc <= PM_AGAIN + 10; rc++) {
		enum lookup_verdict want = rc == PM_OK ? LOOKUP_FOUND : LOOKUP_CANNOT_TELL;
		const struct conf_section *blind = NULL;

		for (size_t i = 0; i < COUNT(next); i++)
			want = rc == next[i] ? LOOKUP_NEXT : want;
		if (lookup_judge(rc, &s, &blind) != want ||
		    blind != (rc == PM_UNSUPPORTED ? &s : NULL))
			fail_msg("code %d", rc);
	}
}

static void
every_answer_to_a_login(void **state)
{
	static const int32_t refused[] = {PM_DENIED, PM_NOENT, PM_UNSUPPORTED};

	(void)state;
	for (int32_t rc = PM_EXISTS - 10; rc <= PM_AGAIN + 10; rc++) {
		enum lookup_verdict want = rc == PM_OK     ? LOOKUP_FOUND
					   : rc == PM_NEXT ? LOOKUP_NEXT
							   : LOOKUP_CANNOT_TELL;

		for (size_t i = 0; i < COUNT(refused); i++)
			want = rc == refused[i] ? LOOKUP_UNKNOWN : want;
		if (lookup_judge_login(rc) != want)
			fail_msg("code %d", rc);
	}
}

static void
nobody_is_left(void **state)
{
	const struct conf_section dir = {.name = "dir"}, later = {.name = "later"};
	const struct conf_section *blind = NULL;
	char text[256] = "as it was";

	(void)state;
	assert_int_equal(lookup_judge(PM_NOENT, &later, &blind), LOOKUP_NEXT);
	assert_int_equal(lookup_end(blind), LOOKUP_UNKNOWN);
	assert_int_equal(lookup_end_code(blind, text, sizeof(text)), PM_NOENT);
	assert_string_equal(text, "as it was");
	assert_int_equal(lookup_judge(PM_UNSUPPORTED, &dir, &blind), LOOKUP_NEXT);
	assert_int_equal(lookup_judge(PM_NOENT, &later, &blind), LOOKUP_NEXT);
	assert_int_equal(lookup_end(blind), LOOKUP_CANNOT_TELL);
	assert_int_equal(lookup_end_code(blind, text, sizeof(text)), PM_TEMP);
	assert_non_null(strstr(text, "section dir cannot look names up"));
}

/* ---- where the mail is ----------------------------------------------------------------------- */

static void
storage_of_a_user(void **state)
{
	struct conf_section storage[] = {
		{.name = "inner", .only_wrapped = true},
		{.name = "one"},
		{.name = "two"},
		{.name = "two2"},
	};
	struct conf c = {.storage = storage, .n_storage = COUNT(storage)};
	static const struct {
		const char *of_auth, *section;
		size_t n;
		int storage; /* -1: there is none */
	} cases[] = {
		{NULL, NULL, 0, 1}, /* the one that may be meant */
		{"two", NULL, 0, 2},
		{"two", "", 0, 2},
		/* the directory's choice comes first */
		{"two", TEXT("one"), 1},
		{NULL, TEXT("two2"), 3},
		{NULL, "two2", 3, 2}, /* not NUL-terminated */
		{NULL, "two2", 2, -1},
		{NULL, TEXT("two2x"), -1},
		{NULL, TEXT("two\0"), -1},
		{NULL, TEXT("Two"), -1},
		{"two", TEXT("three"), -1}, /* an error, not another's mail */
		{"three", NULL, 0, -1},
		{"inner", NULL, 0, -1},
		{NULL, TEXT("inner"), -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct conf_section auth = {.name = "a", .storage = cases[i].of_auth};
		struct conf_section *got = chain_storage(&c, &auth, cases[i].section, cases[i].n);

		if (got != (cases[i].storage < 0 ? NULL : &storage[cases[i].storage]))
			fail_msg("case %zu: %s", i, got ? got->name : "none");
	}
	c.n_storage = 1;
	assert_null(chain_storage(&c, &(struct conf_section){.name = "a"}, NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(names_have_a_limit),
		cmocka_unit_test(every_character),
		cmocka_unit_test(broken_sequences),
		cmocka_unit_test(sections_by_domain),
		cmocka_unit_test(every_answer_to_a_lookup),
		cmocka_unit_test(every_answer_to_a_login),
		cmocka_unit_test(nobody_is_left),
		cmocka_unit_test(storage_of_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
