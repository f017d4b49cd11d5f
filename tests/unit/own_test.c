/* SPDX-License-Identifier: Apache-2.0 */
/* The name an account goes by: completed, and whether two sections could give it to two people. */
#include "account/own.h"
#include "account/owners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *corp_domains[] = {"corp.test", "*.corp.test"}, *emea_domains[] = {"emea.test"};

/* ---- completing ------------------------------------------------------------------------------ */

static void
names_are_completed(void **state)
{
	static const struct {
		const char *domain, *asked, *name, *key, *want, *want_key;
	} cases[] = {
		{NULL, "ann@x.y", "", "", "ann@x.y", "ann@x.y"},
		{NULL, "ann@x.y", "ann", "", "ann", "ann"},
		{NULL, "ann@x.y", "ann", "box", "ann", "box"},
		{"X.Y", "ann@z.y", "Ann", "", "Ann@x.y", "Ann@x.y"},
		{"x.y", "ann@z.y", "ann@z.y", "", "ann@z.y", "ann@z.y"},
		{"x.y", "ann", "", "", "ann@x.y", "ann@x.y"},
		{"x.y", "ann", "ann", "box", "ann@x.y", "box"},
		{"none", "ann@x.y", "ann", "", "ann", "ann"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_section s = {.name_domain = cases[i].domain};
		struct pm_user u = {.name = {cases[i].name, strlen(cases[i].name)},
				    .key = {cases[i].key, strlen(cases[i].key)}};
		struct arena a;

		arena_init(&a, 4096);
		assert_int_equal(own_complete(&s, cases[i].asked, &a, &u), PM_OK);
		if (u.name.n != strlen(cases[i].want) ||
		    memcmp(u.name.p, cases[i].want, u.name.n) != 0 ||
		    u.key.n != strlen(cases[i].want_key) ||
		    memcmp(u.key.p, cases[i].want_key, u.key.n) != 0)
			fail_msg("case %zu: %.*s, %.*s", i, (int)u.name.n, u.name.p, (int)u.key.n,
				 u.key.p);
		arena_reset(&a);
	}
}

static void
a_name_has_a_limit(void **state)
{
	char name[PM_NAME_MAX + 1];
	struct conf_section s = {.name_domain = "x.y"};
	struct pm_user u = {.name = {name, PM_NAME_MAX - 4}};
	struct arena a;

	(void)state;
	memset(name, 'n', sizeof(name));
	arena_init(&a, 4096);
	assert_int_equal(own_complete(&s, "ann", &a, &u), PM_OK);
	assert_int_equal(u.name.n, PM_NAME_MAX);
	u.name = (struct pm_str){name, PM_NAME_MAX - 3};
	assert_int_equal(own_complete(&s, "ann", &a, &u), PM_PERM);
	assert_int_equal(u.name.n, PM_NAME_MAX - 3);
	arena_reset(&a);
	arena_init(&a, 8); /* no memory */
	assert_int_equal(own_complete(&s, "somebody", &a, &u), PM_PERM);
	u.name.n = 20;
	assert_int_equal(own_complete(&s, "somebody", &a, &u), PM_NOMEM);
	u.name.n = 0;
	assert_int_equal(own_complete(&s, "somebody", &a, &u), PM_NOMEM);
	arena_reset(&a);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* Sections of an auth chain: domains (c: corp's, e: emea's, a: all), storage, name_domain. */
struct site {
	const char *domains, *storage[3], *name_domain[3];
};

static size_t
site_fill(const struct site *t, struct conf_section auth[3])
{
	size_t n = strlen(t->domains);

	for (size_t i = 0; i < n; i++) {
		bool corp = t->domains[i] == 'c', all = t->domains[i] == 'a';

		auth[i] = (struct conf_section){.name = corp  ? "corp"
							: all ? "all"
							      : "emea",
						.domains = all    ? NULL
							   : corp ? corp_domains
								  : emea_domains,
						.n_domains = all    ? 0
							     : corp ? 2
								    : 1,
						.storage = t->storage[i],
						.name_domain = t->name_domain[i]};
	}
	return n;
}

static void
whose_name_it_is(void **state)
{
	static const struct {
		struct site site;
		size_t auth; /* the section that has the account */
		const char *asked, *name, *section;
		enum own want;
	} cases[] = {
		/* alone: as it likes */
		{{"c", {"m"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_YES},
		{{"a", {"m"}, {0}}, 0, "ann@corp.test", "ben@emea.test", "", OWN_YES},
		/* two of them: the finding */
		{{"ce", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_NO},
		{{"ce", {"m", "m"}, {0}}, 1, "ann@emea.test", "ann", "", OWN_NO},
		{{"ce", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann@corp.test", "", OWN_YES},
		{{"ce", {"m", "m"}, {0}}, 0, "ann@corp.test", "Ann@Corp.TEST", "", OWN_YES},
		{{"ce", {"m", "m"}, {0}}, 0, "a.s@corp.test", "ann@a.corp.test", "", OWN_YES},
		{{"ce", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann@emea.test", "", OWN_NO},
		{{"ce", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann@evilcorp.test", "", OWN_NO},
		{{"ce", {"m", "m"}, {"none"}}, 0, "ann@corp.test", "ann", "", OWN_YES},
		{{"ce", {"m", "m"}, {"none"}}, 1, "ann@emea.test", "ann", "", OWN_NO},
		/* with storage of their own, unless the account is put elsewhere */
		{{"ce", {"m", "o"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_YES},
		{{"ce", {"m", "o"}, {0}}, 0, "ann@corp.test", "ann", "m", OWN_YES},
		{{"ce", {"m", "o"}, {0}}, 0, "ann@corp.test", "ann", "o", OWN_NO},
		{{"ce", {"m", "o"}, {0}}, 0, "ann@corp.test", "ann", "third", OWN_NO},
		/* where another one is alone, and so calls its accounts as it likes */
		{{"ca", {"m", "o"}, {0}}, 1, "ann", "ann", "m", OWN_NO},
		{{"ce", {"m", "o"}, {0}}, 1, "ann@emea.test", "ann@emea.test", "m", OWN_NO},
		{{"ca", {"m", "o"}, {0}}, 1, "ann", "ann", "third", OWN_YES},
		{{"cea", {"m", "m", "o"}, {0}}, 2, "ann", "ann", "m", OWN_YES},
		{{"ca", {"m", "o"}, {"none"}}, 1, "ann", "ann", "m", OWN_YES},
		{{"ca", {"m", "o"}, {0, "none"}}, 1, "ann", "ann", "m", OWN_YES},
		/* asked about the same names */
		{{"aa", {"m", "m"}, {0}}, 1, "ann", "ann", "", OWN_YES},
		{{"aa", {"m", "m"}, {0}}, 1, "ann", "Ann", "", OWN_ASK},
		{{"aa", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_ASK},
		{{"aa", {"m", "o"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_YES},
		{{"ca", {"m", "m"}, {0}}, 0, "a.s@corp.test", "ann@corp.test", "", OWN_ASK},
		{{"ca", {"m", "m"}, {0}}, 0, "ann@corp.test", "ann", "", OWN_NO},
		{{"ca", {"m", "m"}, {0}}, 1, "x@z.test", "ann@emea.test", "", OWN_YES},
		{{"ca", {"m", "m"}, {0}}, 1, "x@z.test", "ann@corp.test", "", OWN_ASK},
		{{"cca", {"m", "m", "o"}, {0}}, 0, "ann@corp.test", "a@corp.test", "", OWN_ASK},
		{{"cea", {"m", "m", "o"}, {0}}, 0, "ann@corp.test", "a@corp.test", "", OWN_YES},
	};
	struct conf_section storage[] = {{.name = "m"}, {.name = "o"}, {.name = "third"}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_section auth[3] = {{0}};
		struct conf c = {.auth = auth, .storage = storage, .n_storage = COUNT(storage)};
		struct pm_user u = {.name = {cases[i].name, strlen(cases[i].name)},
				    .section = {cases[i].section, strlen(cases[i].section)}};
		const char *in =
			*cases[i].section ? cases[i].section : cases[i].site.storage[cases[i].auth];
		const struct conf_section *at = &storage[0];
		char text[PM_ERROR_MAX + 1] = "";
		enum own got;

		c.n_auth = site_fill(&cases[i].site, auth);
		while (strcmp(at->name, in) != 0)
			at++;
		got = own_judge(&c, &auth[cases[i].auth], at, cases[i].asked, &u, text,
				sizeof(text));
		if (got != cases[i].want || !*text != (got != OWN_NO))
			fail_msg("case %zu, %s for %s: %d %s", i, cases[i].name, cases[i].asked,
				 (int)got, text);
	}
}

/* All deleted mail is together there. */
static void
an_undo_storage_is_shared(void **state)
{
	struct conf_section auth[3], storage[] = {{.name = "m"}, {.name = "o"}},
				     attic = {.name = "attic", .for_undo = true};
	const struct site apart = {"ce", {"m", "o"}, {0}};
	struct conf c = {.auth = auth, .storage = storage, .n_storage = 2};
	struct pm_user u = {.name = {"ann", 3}};
	char text[PM_ERROR_MAX + 1];

	(void)state;
	c.n_auth = site_fill(&apart, auth);
	assert_int_equal(own_judge(&c, &auth[0], &storage[0], "ann@corp.test", &u, text, 256),
			 OWN_YES);
	c.undo = &attic;
	assert_int_equal(own_judge(&c, &auth[0], &storage[0], "ann@corp.test", &u, text, 256),
			 OWN_NO);
	assert_non_null(strstr(text, "section emea has mail in the same undo_storage"));
	u.section = (struct pm_str){"o", 1}; /* nobody is alone then: all names are checked */
	assert_int_equal(own_judge(&c, &auth[0], &storage[1], "ann", &u, text, 256), OWN_YES);
	u.section = (struct pm_str){0};
	auth[1].only_wrapped = true; /* by auth[0], say: then it is alone */
	assert_int_equal(own_judge(&c, &auth[0], &storage[0], "ann@corp.test", &u, text, 256),
			 OWN_YES);
	/* a storage section that is not there is reported elsewhere */
	auth[1].only_wrapped = false;
	assert_int_equal(own_judge(&c, &auth[0], NULL, "ann@corp.test", &u, text, 256), OWN_YES);
}

/* ---- mailboxes by local part ----------------------------------------------------------------- */

static enum own
owner_of(struct conf *c, const struct conf_section *auth, const char *name, const char *entry,
	 char *text)
{
	struct pm_attr attr = {{"entry", 5}, {entry, entry ? strlen(entry) : 0}};
	struct pm_user u = {.name = {name, strlen(name)}, .attr = &attr, .n_attr = entry ? 1 : 0};

	return own_judge(c, auth, &c->storage[0], name, &u, text, 256);
}

static void
who_comes_first_has_the_mailbox(void **state)
{
	struct backend b = {0};
	struct conf_section storage[] = {{.name = "m", .backend = &b}}, auth[3];
	const struct site site = {"ce", {"m", "m"}, {0}};
	struct conf c = {.auth = auth, .storage = storage, .n_storage = 1};
	char text[256] = "", name[40];

	(void)state;
	c.n_auth = site_fill(&site, auth);
	assert_int_equal(owner_of(&c, auth, "ann@corp.test", NULL, text), OWN_YES);
	assert_int_equal(owner_of(&c, &auth[1], "ann@emea.test", NULL, text), OWN_YES);
	assert_true(owners_add(&b));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "ann%d@corp.test", i);
			assert_int_equal(owner_of(&c, auth, name, NULL, text), OWN_YES);
			snprintf(name, sizeof(name), "ann%d@emea.test", i);
			assert_int_equal(owner_of(&c, &auth[1], name, NULL, text), OWN_NO);
		}
		assert_non_null(strstr(text, "mailbox of 'ann299@corp.test', which came first"));
	}
	owners_forget(b.owners);
	assert_int_equal(owner_of(&c, &auth[1], "ann0@emea.test", NULL, text), OWN_YES);
	assert_int_equal(owner_of(&c, auth, "ann0@corp.test", NULL, text), OWN_NO);
	assert_int_equal(owner_of(&c, auth, "ann0@corp.test", "ann0", text), OWN_NO);
	/* one entry by many names; of another section it is another one */
	assert_int_equal(owner_of(&c, auth, "ben@corp.test", "ben", text), OWN_YES);
	assert_int_equal(owner_of(&c, auth, "ben@a.corp.test", "ben", text), OWN_YES);
	assert_int_equal(owner_of(&c, &auth[1], "ben@emea.test", "ben", text), OWN_NO);
	b.closing(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_completed),
		cmocka_unit_test(a_name_has_a_limit),
		cmocka_unit_test(whose_name_it_is),
		cmocka_unit_test(an_undo_storage_is_shared),
		cmocka_unit_test(who_comes_first_has_the_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
