/* SPDX-License-Identifier: Apache-2.0 */
/* The servers that the store in MySQL refuses, by what servers answer: rows of SHOW VARIABLES as
 * the manuals of MySQL 8.0 and 8.4 give them, and the ends of statements behind proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../backends/storage/mysql/fit.h"

#define WHY_MAX 150 /* of a text that connects in the log */
#define GROUP "group_replication_group_name", "ce9be252-2b71-11e6-b8f4-00212844f856"
#define MODE "group_replication_single_primary_mode"
#define WAITS "group_replication_consistency"

/* The judgement on "name", "value", ..., NULL. */
static const char *
judged(const char *const *rows)
{
	struct fit_group g = {0};
	const char *why;

	for (; rows[0]; rows += 2)
		fit_note(&g, rows[0], rows[1]);
	why = fit_group(&g);
	assert_true(!why || strlen(why) <= WHY_MAX);
	return why;
}
#define JUDGED(...) judged((const char *const[]){__VA_ARGS__, NULL})

static void
no_group(void **state)
{
	(void)state;
	assert_null(judged((const char *const[]){NULL}));
	/* the plugin is loaded, no group is configured */
	assert_null(JUDGED("group_replication_group_name", "", MODE, "OFF", WAITS, "EVENTUAL"));
	/* of a Galera node and of replication without a group */
	assert_null(JUDGED("wsrep_on", "ON", "wsrep_sync_wait", "1", "read_only", "OFF"));
}

static void
one_primary(void **state)
{
	static const char *const values[] = {"EVENTUAL", "BEFORE_ON_PRIMARY_FAILOVER", "BEFORE",
					     "AFTER", "BEFORE_AND_AFTER"};

	(void)state;
	for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
		assert_null(JUDGED(GROUP, MODE, "ON", WAITS, values[k]));
		assert_null(JUDGED(WAITS, values[k], MODE, "1", GROUP));
	}
	/* 5.7 knows no consistency */
	assert_null(JUDGED(GROUP, MODE, "ON"));
}

static void
several_primaries(void **state)
{
	static const char *const enough[] = {"BEFORE", "BEFORE_AND_AFTER", "before"};
	static const char *const weak[] = {"EVENTUAL", "BEFORE_ON_PRIMARY_FAILOVER", "AFTER", ""};

	(void)state;
	for (size_t k = 0; k < 3; k++)
		assert_null(JUDGED(GROUP, MODE, "OFF", WAITS, enough[k]));
	for (size_t k = 0; k < 4; k++) {
		const char *why = JUDGED(GROUP, MODE, "OFF", WAITS, weak[k]);

		assert_non_null(why);
		assert_non_null(strstr(why, "group_replication_consistency = BEFORE"));
		assert_non_null(JUDGED(WAITS, weak[k], MODE, "0", GROUP));
	}
	assert_non_null(JUDGED(GROUP, MODE, "OFF")); /* 5.7 */
	/* the whole list, as a member of 8.0 gives it */
	assert_non_null(JUDGED("group_replication_bootstrap_group", "OFF", WAITS, "EVENTUAL",
			       "group_replication_enforce_update_everywhere_checks", "ON", GROUP,
			       "group_replication_member_expel_timeout", "5", MODE, "OFF",
			       "group_replication_start_on_boot", "ON"));
}

static void
ends(void **state)
{
	struct fit_end main = {12, "1 db1 3306", false}, replica = {12, "2 db2 3306", true};
	struct fit_end other = {13, "1 db1 3306", false}, twin = {12, "1 db2 3306", false};
	const struct fit_end *bad[] = {&replica, &other, &twin};

	(void)state;
	assert_null(fit_ends(&main, &main));
	for (size_t k = 0; k < 3; k++) {
		const char *why = fit_ends(bad[k], &main);

		assert_non_null(why);
		assert_true(strlen(why) <= WHY_MAX);
		assert_non_null(strstr(why, "splitter"));
		assert_string_equal(fit_ends(&main, bad[k]), why);
	}
	assert_non_null(strstr(fit_ends(&replica, &replica), "read_only"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_group),
		cmocka_unit_test(one_primary),
		cmocka_unit_test(several_primaries),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
