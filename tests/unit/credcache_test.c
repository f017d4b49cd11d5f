/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of logins: for which accounts, for how long, and the events that clear it. */
#include "account/credcache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STR(s) ((struct pm_str){s, strlen(s)})
#define MINUTE 60000
#define HOUR (60 * MINUTE)

static struct credcache *c;
static struct arena arena;
static int64_t now;
static struct pm_user found;
static char why[PM_ERROR_MAX + 1];

static void
open_cache(size_t places)
{
	const struct credcache_limits l = {
		.fresh_ms = MINUTE, .negative_ms = MINUTE, .good_ms = HOUR, .places = places};

	credcache_free(c);
	c = credcache_new(&l);
	assert_non_null(c);
}

static int
setup(void **state)
{
	(void)state;
	now = 1000000;
	arena_init(&arena, 1 << 20);
	open_cache(1000);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	credcache_free(c);
	c = NULL;
	arena_reset(&arena);
	return 0;
}

static struct pm_cred
cred_of(const char *name, const char *secret)
{
	return (struct pm_cred){.size = sizeof(struct pm_cred),
				.kind = PM_CRED_PASSWORD,
				.service = STR("pop3"),
				.authcid = STR(name),
				.secret = STR(secret),
				.peer = STR("192.0.2.1")};
}

static struct pm_user
user_of(const char *name)
{
	return (struct pm_user){.size = sizeof(struct pm_user),
				.rights = PM_RIGHTS_DEFAULT,
				.cache_s = PM_EXPIRE_SITE,
				.name = STR(name)};
}

static void
learn_user(const char *name, const char *secret, const struct pm_user *u)
{
	const struct pm_cred cred = cred_of(name, secret);

	credcache_learn(c, credcache_epoch(c), &cred, PM_OK, u, u->state == PM_USER_ENABLED, "",
			now);
}

static void
learn(const char *name, const char *secret, int32_t rc)
{
	const struct pm_cred cred = cred_of(name, secret);
	const struct pm_user u = user_of(name);

	credcache_learn(c, credcache_epoch(c), &cred, rc, &u, true,
			rc == PM_DENIED ? "as the module says" : "", now);
}

#define ASK 12345 /* not known */

static int32_t
find(const char *name, const char *secret)
{
	const struct pm_cred cred = cred_of(name, secret);
	int32_t rc = ASK;

	return credcache_find(c, &cred, now, &arena, &rc, &found, why) ? rc : ASK;
}

static bool
good(const char *name, const char *secret)
{
	const struct pm_cred cred = cred_of(name, secret);
	int64_t age;

	return credcache_last_good(c, &cred, now, &arena, &found, &age);
}

static bool
same(struct pm_str s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* ---- remembering ----------------------------------------------------------------------------- */

static void
an_accepted_pair_is_known_for_its_time(void **state)
{
	(void)state;
	assert_int_equal(find("ann", "secret"), ASK);
	learn("ann", "secret", PM_OK);
	assert_int_equal(find("ann", "secret"), PM_OK);
	assert_true(same(found.name, "ann"));
	assert_int_equal(find("ann", "Secret"), ASK);
	assert_int_equal(find("ann", ""), ASK);
	assert_int_equal(find("anns", "ecret"), ASK);
	assert_int_equal(find("bob", "secret"), ASK);
	now += MINUTE - 1;
	assert_int_equal(find("ann", "secret"), PM_OK);
	now += 1;
	assert_int_equal(find("ann", "secret"), ASK);
}

static void
a_use_does_not_prolong_it(void **state)
{
	(void)state;
	learn("ann", "secret", PM_OK);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(find("ann", "secret"), PM_OK);
		now += MINUTE / 6;
	}
	assert_int_equal(find("ann", "secret"), ASK);
}

static void
a_user_may_want_less(void **state)
{
	struct pm_user u = user_of("ann");

	(void)state;
	u.cache_s = 10;
	learn_user("ann", "secret", &u);
	now += 9999;
	assert_int_equal(find("ann", "secret"), PM_OK);
	now += 1;
	assert_int_equal(find("ann", "secret"), ASK);
	assert_true(good("ann", "secret"));
	u.cache_s = 3600; /* no more than the site's limit */
	learn_user("ann", "secret", &u);
	now += MINUTE;
	assert_int_equal(find("ann", "secret"), ASK);
	u.cache_s = 0; /* never, in no way */
	learn_user("ann", "secret", &u);
	assert_int_equal(find("ann", "secret"), ASK);
	assert_false(good("ann", "secret"));
}

static void
the_whole_account_comes_back(void **state)
{
	const struct pm_str targets[] = {STR("a@example.org"), STR("b@example.org")};
	const struct pm_attr attr[] = {{STR("home"), STR("/home/ann")}, {STR("group"), STR("")}};
	struct pm_user u = user_of("Ann@example.org");

	(void)state;
	u.key = STR("k-17");
	u.section = STR("mail");
	u.domain = STR("example.org");
	u.cred_id = STR("7");
	u.cred_label = STR("phone");
	u.quota_octets = 1 << 30;
	u.rights = PM_RIGHT_POP3;
	u.targets = targets;
	u.n_targets = 2;
	u.attr = attr;
	u.n_attr = 2;
	learn_user("ann", "secret", &u);
	assert_int_equal(find("ann", "secret"), PM_OK);
	assert_true(same(found.name, "Ann@example.org") && same(found.key, "k-17") &&
		    same(found.section, "mail"));
	assert_true(same(found.domain, "example.org") && same(found.cred_id, "7") &&
		    same(found.cred_label, "phone"));
	assert_int_equal(found.quota_octets, 1 << 30);
	assert_int_equal(found.rights, PM_RIGHT_POP3);
	assert_int_equal(found.n_targets, 2);
	assert_true(same(found.targets[1], "b@example.org"));
	assert_true(same(found.attr[0].value, "/home/ann") && same(found.attr[1].value, ""));
	assert_ptr_not_equal(found.attr, attr);
}

static void
a_refusal_counts_for_the_client_that_got_it(void **state)
{
	struct pm_cred other = cred_of("ann", "wrong");
	int32_t rc;

	(void)state;
	learn("ann", "wrong", PM_DENIED);
	assert_int_equal(find("ann", "wrong"), PM_DENIED);
	assert_string_equal(why, "as the module says");
	assert_int_equal(find("ann", "right"), ASK);
	other.peer = STR("192.0.2.2");
	assert_false(credcache_find(c, &other, now, &arena, &rc, &found, why));
	now += MINUTE;
	assert_int_equal(find("ann", "wrong"), ASK);
}

static void
strangers_are_unknown_with_any_password(void **state)
{
	(void)state;
	learn("eve", "one", PM_NEXT);
	learn("mallory", "one", PM_NOENT);
	assert_int_equal(find("eve", "two"), PM_NEXT);
	assert_int_equal(find("mallory", "two"), PM_NOENT);
	assert_string_equal(why, "");
}

static void
failures_teach_nothing(void **state)
{
	static const int32_t codes[] = {PM_TEMP,      PM_DOWN,        PM_TIMEOUT, PM_NOMEM, PM_PERM,
					PM_CANCELLED, PM_UNSUPPORTED, PM_INVALID, PM_AGAIN};

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		learn("ann", "secret", PM_OK);
		learn("ann", "secret", codes[i]);
		assert_int_equal(find("ann", "secret"), PM_OK);
		learn("bob", "wrong", codes[i]);
		assert_int_equal(find("bob", "wrong"), ASK);
	}
}

static void
only_plain_passwords_are_kept(void **state)
{
	struct pm_cred cred = cred_of("ann", "secret");
	const struct pm_user u = user_of("ann");
	int32_t rc;

	(void)state;
	cred.authzid = STR("bob");
	credcache_learn(c, 0, &cred, PM_OK, &u, true, "", now);
	assert_false(credcache_find(c, &cred, now, &arena, &rc, &found, why));
	cred.authzid = STR("");
	cred.kind = PM_CRED_APOP;
	credcache_learn(c, 0, &cred, PM_OK, &u, true, "", now);
	assert_false(credcache_find(c, &cred, now, &arena, &rc, &found, why));
	assert_int_equal(find("ann", "secret"), ASK);
	cred.kind = PM_CRED_PASSWORD;
	cred.flags = PM_CREDF_TLS; /* may be another answer without TLS */
	credcache_learn(c, 0, &cred, PM_OK, &u, true, "", now);
	assert_true(credcache_find(c, &cred, now, &arena, &rc, &found, why));
	assert_int_equal(find("ann", "secret"), ASK);
	cred.service = STR("smtp");
	assert_false(credcache_find(c, &cred, now, &arena, &rc, &found, why));
}

static void
no_cache_knows_nothing(void **state)
{
	const struct pm_cred cred = cred_of("ann", "secret");
	const struct pm_user u = user_of("ann");
	int64_t age;
	int32_t rc;

	(void)state;
	credcache_learn(NULL, credcache_epoch(NULL), &cred, PM_OK, &u, true, "", now);
	assert_false(credcache_find(NULL, &cred, now, &arena, &rc, &found, why));
	assert_false(credcache_last_good(NULL, &cred, now, &arena, &found, &age));
	credcache_forget(NULL, STR("ann"));
	credcache_stale(NULL);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

static void
the_opposite_answer_wins(void **state)
{
	(void)state;
	learn("ann", "secret", PM_OK);
	learn("ann", "guess", PM_DENIED); /* somebody else's guess costs ann nothing */
	assert_int_equal(find("ann", "secret"), PM_OK);
	learn("ann", "secret", PM_DENIED);
	assert_int_equal(find("ann", "secret"), PM_DENIED);
	assert_false(good("ann", "secret"));
	learn("ann", "secret", PM_OK);
	assert_int_equal(find("ann", "secret"), PM_OK);
	assert_int_equal(find("ann", "guess"), ASK);
}

static void
a_new_password_replaces_the_old_one(void **state)
{
	struct pm_user phone = user_of("ann"), desk = user_of("ann");

	(void)state;
	phone.cred_id = STR("1");
	desk.cred_id = STR("2");
	learn_user("ann", "phone", &phone);
	learn_user("ann", "desk", &desk);
	learn("ann", "old", PM_OK);
	learn("ann", "new", PM_OK);
	assert_int_equal(find("ann", "old"), ASK);
	assert_false(good("ann", "old"));
	assert_int_equal(find("ann", "new"), PM_OK);
	assert_int_equal(find("ann", "phone"), PM_OK);
	assert_int_equal(find("ann", "desk"), PM_OK);
}

static void
a_user_who_may_not_enter_is_purged(void **state)
{
	struct pm_user u = user_of("ann@example.org");

	(void)state;
	learn_user("ann", "secret", &u);
	learn_user("alias", "secret", &u);
	u.state = PM_USER_DISABLED;
	learn_user("ann", "secret", &u);
	assert_int_equal(find("ann", "secret"), ASK);
	assert_false(good("ann", "secret"));
	assert_false(good("alias", "secret")); /* the same account by another name */
}

static void
a_user_who_is_gone_is_purged(void **state)
{
	(void)state;
	learn("ann", "secret", PM_OK);
	learn("ann", "other", PM_NEXT);
	assert_int_equal(find("ann", "secret"), PM_NEXT);
	assert_false(good("ann", "secret"));
}

static void
a_name_or_all_can_be_forgotten(void **state)
{
	const struct pm_user u = user_of("canonical");

	(void)state;
	learn("ann", "secret", PM_OK);
	learn("bob", "secret", PM_OK);
	learn("bob", "wrong", PM_DENIED);
	learn_user("alias", "secret", &u);
	credcache_forget(c, STR("bob"));
	assert_int_equal(find("bob", "secret"), ASK);
	assert_int_equal(find("bob", "wrong"), ASK);
	assert_int_equal(find("ann", "secret"), PM_OK);
	credcache_forget(c, STR("canonical"));
	assert_false(good("alias", "secret"));
	credcache_forget(c, STR(""));
	assert_false(good("ann", "secret"));
}

static void
holds(size_t accepted, size_t refused)
{
	const struct credcache_usage u = credcache_usage(c);

	assert_int_equal(u.accepted, accepted);
	assert_int_equal(u.refused, refused);
}

static void
its_usage_is_known(void **state)
{
	char text[40];

	(void)state;
	assert_int_equal(credcache_usage(NULL).places, 0);
	assert_int_equal(credcache_usage(c).places, 1000);
	holds(0, 0);
	learn("ann", "secret", PM_OK);
	learn("ann", "secret", PM_OK);
	learn("bob", "secret", PM_OK);
	learn("bob", "another", PM_OK); /* in the place of the old one */
	learn("eve", "wrong", PM_DENIED);
	holds(2, 1);
	learn("eve", "secret", PM_OK);
	holds(3, 0);
	credcache_stale(c);
	holds(3, 0);
	credcache_forget(c, STR("bob"));
	holds(2, 0);
	credcache_forget(c, STR(""));
	holds(0, 0);
	open_cache(1);
	assert_int_equal(credcache_usage(c).places, 8);
	for (int i = 0; i < 20; i++, now++) {
		snprintf(text, sizeof(text), "user%d", i);
		learn(text, "secret", PM_OK);
	}
	holds(8, 0);
}

static void
an_answer_from_before_is_not_kept(void **state)
{
	const struct pm_cred cred = cred_of("ann", "secret");
	const struct pm_user u = user_of("ann");
	uint64_t epoch = credcache_epoch(c);

	(void)state;
	credcache_forget(c, STR("ann"));
	credcache_learn(c, epoch, &cred, PM_OK, &u, true, "", now);
	assert_int_equal(find("ann", "secret"), ASK);
	assert_false(good("ann", "secret"));
}

static void
a_reload_asks_everybody_again(void **state)
{
	(void)state;
	learn("ann", "secret", PM_OK);
	learn("ann", "wrong", PM_DENIED);
	credcache_stale(c);
	assert_int_equal(find("ann", "secret"), ASK);
	assert_int_equal(find("ann", "wrong"), ASK);
	assert_true(good("ann", "secret")); /* the directory may be down just now */
}

/* The section calls them "canonical", the host canonical@example.org. */
static void
forgotten_by_the_name_with_its_domain(void **state)
{
	const struct credcache_limits l = {
		.fresh_ms = MINUTE, .negative_ms = MINUTE, .places = 1000, .domain = "Example.org"};
	const struct pm_user u = user_of("canonical");

	(void)state;
	credcache_free(c);
	c = credcache_new(&l);
	learn_user("bob@example.net", "secret", &u);
	credcache_forget(c, STR("canonical@example.net"));
	credcache_forget(c, STR("canonical@xexample.org"));
	credcache_forget(c, STR("@example.org"));
	assert_int_equal(find("bob@example.net", "secret"), PM_OK);
	credcache_forget(c, STR("canonical@example.org"));
	assert_int_equal(find("bob@example.net", "secret"), ASK);
}

/* ---- last known good ------------------------------------------------------------------------- */

static void
last_known_good_has_its_own_time(void **state)
{
	(void)state;
	learn("ann", "secret", PM_OK);
	now += HOUR - 1;
	assert_int_equal(find("ann", "secret"), ASK);
	assert_true(good("ann", "secret"));
	assert_true(same(found.name, "ann"));
	assert_false(good("ann", "wrong"));
	assert_false(good("bob", "secret"));
	now += 1;
	assert_false(good("ann", "secret"));
}

static void
off_is_off(void **state)
{
	const struct credcache_limits l = {.negative_ms = MINUTE, .places = 100};

	(void)state;
	credcache_free(c);
	c = credcache_new(&l);
	learn("ann", "secret", PM_OK);
	assert_int_equal(find("ann", "secret"), ASK);
	assert_false(good("ann", "secret"));
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void
guesses_push_out_guesses_only(void **state)
{
	char text[40];

	(void)state;
	open_cache(80);
	learn("ann", "secret", PM_OK);
	for (int i = 0; i < 20000; i++, now++) {
		snprintf(text, sizeof(text), "guess%d", i);
		learn("ann", text, PM_DENIED);
		learn(text, "x", PM_NEXT);
	}
	assert_int_equal(find("ann", "secret"), PM_OK);
	assert_int_equal(find("ann", "guess19999"), PM_DENIED);
	assert_int_equal(find("ann", "guess1"), ASK);
}

static void
in_a_full_set_the_oldest_goes(void **state)
{
	char text[40];
	int known = 0;

	(void)state;
	open_cache(8);
	for (int i = 0; i < 100; i++, now++) {
		snprintf(text, sizeof(text), "user%d", i);
		learn(text, "secret", PM_OK);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "user%d", i);
		known += find(text, "secret") == PM_OK;
		assert_int_equal(find(text, "secret") == PM_OK, i >= 92);
	}
	assert_int_equal(known, 8);
}

static void
a_large_login_is_asked_each_time(void **state)
{
	static char big[100000];
	struct pm_user u = user_of("ann");

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	learn("ann", big, PM_OK);
	assert_int_equal(find("ann", big), ASK);
	learn_user("ann", "secret", &u);
	u.key = STR(big);
	learn_user("ann", "secret", &u);
	assert_int_equal(find("ann", "secret"),
			 ASK); /* nor is the earlier account the answer any more */
	arena_reset(&arena);
	arena_init(&arena, 8); /* a session without memory asks, it does not fail */
	u.key = STR("k");
	learn_user("ann", "secret", &u);
	assert_int_equal(find("ann", "secret"), ASK);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *
client(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct arena mine;
	char name[20], error[PM_ERROR_MAX + 1];

	arena_init(&mine, 1 << 20);
	for (int i = 0; i < 3000; i++) {
		struct pm_cred cred;
		struct pm_user u, got;
		uint64_t epoch = credcache_epoch(c);
		int64_t age;
		int32_t rc;

		snprintf(name, sizeof(name), "user%d", rand_r(&seed) % 40);
		cred = cred_of(name, "secret");
		u = user_of(name);
		if (credcache_find(c, &cred, 1000, &mine, &rc, &got, error) && rc == PM_OK)
			assert_true(got.name.n == strlen(name) &&
				    memcmp(got.name.p, name, got.name.n) == 0);
		if (credcache_last_good(c, &cred, 1000, &mine, &got, &age))
			assert_true(got.name.n == strlen(name) &&
				    memcmp(got.name.p, name, got.name.n) == 0);
		credcache_learn(c, epoch, &cred, i % 5 ? PM_OK : PM_DENIED, &u, i % 7 != 0, "no",
				1000);
		if (i % 50 == 0)
			credcache_forget(c, i % 100 ? cred.authcid : STR(""));
		arena_reset(&mine);
	}
	return NULL;
}

static void
many_threads_share_it(void **state)
{
	pthread_t t[8];

	(void)state;
	open_cache(40);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, client, (void *)(uintptr_t)(i + 1)),
				 0);
	for (size_t i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	assert_true(credcache_usage(c).accepted <= credcache_usage(c).places);
	credcache_forget(c, STR(""));
	holds(0, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_accepted_pair_is_known_for_its_time),
		TEST(a_use_does_not_prolong_it),
		TEST(a_user_may_want_less),
		TEST(the_whole_account_comes_back),
		TEST(a_refusal_counts_for_the_client_that_got_it),
		TEST(strangers_are_unknown_with_any_password),
		TEST(failures_teach_nothing),
		TEST(only_plain_passwords_are_kept),
		TEST(no_cache_knows_nothing),
		TEST(the_opposite_answer_wins),
		TEST(a_new_password_replaces_the_old_one),
		TEST(a_user_who_may_not_enter_is_purged),
		TEST(a_user_who_is_gone_is_purged),
		TEST(a_name_or_all_can_be_forgotten),
		TEST(forgotten_by_the_name_with_its_domain),
		TEST(its_usage_is_known),
		TEST(an_answer_from_before_is_not_kept),
		TEST(a_reload_asks_everybody_again),
		TEST(last_known_good_has_its_own_time),
		TEST(off_is_off),
		TEST(guesses_push_out_guesses_only),
		TEST(in_a_full_set_the_oldest_goes),
		TEST(a_large_login_is_asked_each_time),
		TEST(many_threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
