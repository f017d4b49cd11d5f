/* SPDX-License-Identifier: Apache-2.0 */
/* Named parameters become placeholders, outside of quotes and comments only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "query.h"

static void
good(enum sql_which which, enum sql_dialect d, const char *in, const char *out, const char *places)
{
	struct sql_query q = {0};
	char why[160] = "";

	if (!query_parse(&q, which, d, (struct pm_str){in, strlen(in)}, why))
		fail_msg("'%s': %s", in, why);
	assert_string_equal(q.text, out);
	assert_int_equal(q.n_places, strlen(places));
	for (size_t k = 0; k < q.n_places; k++)
		assert_int_equal(q.place[k], places[k] - '0');
	query_free(&q);
}

static void
bad(enum sql_dialect d, const char *in, const char *word)
{
	struct sql_query q = {0};
	char why[160] = "";

	assert_false(query_parse(&q, Q_USER, d, (struct pm_str){in, strlen(in)}, why));
	if (!strstr(why, word))
		fail_msg("'%s': '%s' does not say '%s'", in, why, word);
	query_free(&q);
}

static void
placeholders(void **state)
{
	(void)state;
	good(Q_USER, SQL_MYSQL, "SELECT 1 WHERE a = :user AND b=:domain",
	     "SELECT 1 WHERE a = ? AND b=?", "02");
	good(Q_USER, SQL_PGSQL, "SELECT 1 WHERE a = :user AND b=:user",
	     "SELECT 1 WHERE a = $1 AND b=$2", "00");
	good(Q_USER, SQL_SQLITE, "SELECT :user,:local,:domain,:peer,:service",
	     "SELECT ?1,?2,?3,?4,?5", "01234");
	good(Q_SET_USED, SQL_PGSQL, "UPDATE t SET a=:time WHERE id=:id::bigint",
	     "UPDATE t SET a=$1 WHERE id=$2::bigint", "78");
	good(Q_SET_PASSWORD, SQL_MYSQL, "UPDATE t SET p=:hash WHERE p=:old;  ",
	     "UPDATE t SET p=? WHERE p=?", "56");
}

static void
quotes_and_comments(void **state)
{
	(void)state;
	good(Q_USER, SQL_MYSQL, "SELECT 'a:user b', \"x\\\":user\", `c:user`, :user",
	     "SELECT 'a:user b', \"x\\\":user\", `c:user`, ?", "0");
	good(Q_USER, SQL_PGSQL, "SELECT 'it''s', 'a\\', :user", "SELECT 'it''s', 'a\\', $1", "0");
	good(Q_USER, SQL_MYSQL, "SELECT 'a\\' :user', :user", "SELECT 'a\\' :user', ?", "0");
	good(Q_USER, SQL_PGSQL, "SELECT /* :usr ; ' */ :user -- :nobody's\n, 1", "SELECT   $1  , 1",
	     "0");
	good(Q_USER, SQL_PGSQL, "SELECT a ? 'b', :user", "SELECT a ? 'b', $1", "0");
	good(Q_USER, SQL_MYSQL, "SELECT :user # it's", "SELECT ?  ", "0");
}

static void
mistakes(void **state)
{
	(void)state;
	bad(SQL_MYSQL, "SELECT ':user'", "quotes");
	bad(SQL_MYSQL, "SELECT :usr", "there is no :usr here; known are :user :local");
	bad(SQL_MYSQL, "SELECT :hash", ":hash");
	bad(SQL_MYSQL, "SELECT :user; DELETE FROM t", "more than one statement");
	bad(SQL_MYSQL, "SELECT 'a", "not closed");
	bad(SQL_MYSQL, "SELECT 1 /* a", "not closed");
	bad(SQL_MYSQL, "SELECT /*/ :user", "not closed");
	bad(SQL_MYSQL, "SELECT a = ?", "named parameters");
	bad(SQL_PGSQL, "SELECT a = $1", "named parameters");
	bad(SQL_SQLITE, "SELECT a = @a", "named parameters");
	bad(SQL_SQLITE, "  -- only this", "empty");
	bad(SQL_SQLITE, "", "empty");
}

static void
many(void **state)
{
	char text[SQL_PLACES_MAX * 8 + 32] = "SELECT 1";

	(void)state;
	for (int k = 0; k <= SQL_PLACES_MAX; k++)
		strcat(text, ",:user");
	bad(SQL_PGSQL, text, "more than 32 parameters");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(placeholders),
		cmocka_unit_test(quotes_and_comments),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
