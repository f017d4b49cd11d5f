/* SPDX-License-Identifier: Apache-2.0 */
/* Places and servers of a pool, on a clock the test moves; and how servers are written. */
#include "connpool.h"
#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* ---- a host, and obedient servers ------------------------------------------------------------ */

static int64_t now;
static char said[4096];
static int32_t answers[3]; /* of the three servers */
static int64_t takes_ms[3];
static int64_t until[3];
static char asked[16], counted[256];
static unsigned opened, closed;

static int64_t
now_ms(void *ctx)
{
	(void)ctx;
	return now;
}

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	(void)level;
	snprintf(said + strlen(said), sizeof(said) - strlen(said), "%.*s\n", (int)text.n, text.p);
}

/* "name+n " for each event; nothing for counters that are only announced. */
static void
count(void *ctx, struct pm_str name, int64_t n)
{
	(void)ctx;
	if (n > 0)
		snprintf(counted + strlen(counted), sizeof(counted) - strlen(counted), "%.*s+%d ",
			 (int)name.n, name.p, (int)n);
}

static const struct pm_host host = {
	.size = sizeof(host), .now_ms = now_ms, .log = log_line, .count = count};
static const char *const labels[] = {"a", "b", "c"};

static int32_t
connect_to(void *ctx, size_t server, int64_t until_ms, void **ret, char *why)
{
	snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s", labels[server]);
	until[server] = until_ms;
	now += takes_ms[server];
	if (answers[server] == PM_OK) {
		*ret = ctx;
		opened++;
	}
	snprintf(why, SDK_WHY_MAX, "%s is ill", labels[server]);
	return answers[server];
}

static void
close_it(void *conn)
{
	assert_non_null(conn);
	closed++;
}

static struct sdk_pool *
fresh(uint32_t permits)
{
	now = 1000;
	counted[0] = said[0] = asked[0] = '\0';
	opened = closed = 0;
	memset(answers, 0, sizeof(answers));
	memset(takes_ms, 0, sizeof(takes_ms));
	return sdk_pool_new(&host, permits, labels, 3, close_it);
}

static int32_t
dial(struct sdk_pool *p, struct sdk_place *at, uint32_t not, int64_t deadline_ms)
{
	static char thing;
	char why[SDK_WHY_MAX];

	asked[0] = '\0';
	return sdk_pool_connect(p, at, not, deadline_ms, connect_to, &thing, why);
}

/* ---- places ---------------------------------------------------------------------------------- */

static void
connected_places_are_taken_first(void **state)
{
	struct sdk_pool *p = fresh(2);
	struct sdk_place *one = sdk_pool_take(p), *two = sdk_pool_take(p);

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(dial(p, two, 0, 2000), PM_OK);
	sdk_pool_give(p, one);
	sdk_pool_give(p, two);
	assert_ptr_equal(sdk_pool_take(p), two);
	sdk_pool_free(p);
	assert_int_equal(opened, closed);
}

static void
more_calls_than_permits_get_none(void **state)
{
	struct sdk_pool *p = fresh(1);

	(void)state;
	assert_non_null(sdk_pool_take(p));
	assert_non_null(sdk_pool_take(p)); /* retire's */
	assert_null(sdk_pool_take(p));
	sdk_pool_free(p);
}

static void
retiring_closes_idle_ones_now_and_busy_ones_later(void **state)
{
	struct sdk_pool *p = fresh(2);
	struct sdk_place *idle = sdk_pool_take(p), *busy = sdk_pool_take(p);

	(void)state;
	dial(p, idle, 0, 2000);
	dial(p, busy, 0, 2000);
	sdk_pool_give(p, idle);
	sdk_pool_retire(p);
	assert_int_equal(closed, 1);
	assert_non_null(busy->conn);
	sdk_pool_give(p, busy);
	assert_int_equal(closed, 2);
	sdk_pool_free(p);
	assert_int_equal(closed, 2);
}

/* ---- servers --------------------------------------------------------------------------------- */

static void
servers_are_tried_in_order_and_those_that_failed_last(void **state)
{
	struct sdk_pool *p = fresh(1);
	struct sdk_place *at = sdk_pool_take(p);

	(void)state;
	answers[0] = PM_DOWN;
	answers[1] = PM_TIMEOUT;
	assert_int_equal(dial(p, at, 0, 2000), PM_OK);
	assert_string_equal(asked, "abc");
	assert_string_equal(counted, "server_failures+1 server_failures+1 connects+1 ");
	assert_int_equal(at->server, 2);
	assert_non_null(strstr(said, "server a does not serve: a is ill"));
	sdk_place_close(p, at);
	assert_int_equal(dial(p, at, 0, 2000), PM_OK);
	assert_string_equal(asked, "c");
	sdk_place_close(p, at);
	answers[2] = PM_DOWN;
	counted[0] = '\0';
	assert_int_equal(dial(p, at, 0, 2000), PM_TIMEOUT);
	assert_string_equal(counted, "server_failures+1 "); /* the others were down before */
	assert_string_equal(asked, "cab");
	assert_int_equal(dial(p, at, 1, 2000), PM_DOWN);
	assert_string_equal(asked, "bc");
	sdk_pool_free(p);
}

static void
each_gets_its_share_of_the_time(void **state)
{
	struct sdk_pool *p = fresh(1);
	struct sdk_place *at = sdk_pool_take(p);

	(void)state;
	for (int s = 0; s < 3; s++) {
		answers[s] = PM_TIMEOUT;
		takes_ms[s] = 300;
	}
	assert_int_equal(dial(p, at, 0, 1900), PM_TIMEOUT);
	assert_int_equal(until[0], 1300);
	assert_int_equal(until[1], 1600);
	assert_int_equal(until[2], 1900);
	assert_int_equal(dial(p, at, 0, 1900), PM_TIMEOUT); /* now is 1900 */
	assert_string_equal(asked, "");
	sdk_pool_free(p);
}

static void
no_memory_says_nothing_about_a_server(void **state)
{
	struct sdk_pool *p = fresh(1);
	struct sdk_place *at = sdk_pool_take(p);

	(void)state;
	answers[0] = PM_NOMEM;
	assert_int_equal(dial(p, at, 0, 2000), PM_NOMEM);
	assert_string_equal(asked, "a");
	assert_string_equal(said, "");
	sdk_pool_free(p);
}

static void
a_server_that_is_back_draws_connections_to_it(void **state)
{
	static char thing;
	struct sdk_pool *p = fresh(1);
	struct sdk_place *at = sdk_pool_take(p);

	(void)state;
	answers[0] = PM_DOWN;
	dial(p, at, 0, 2000);
	assert_int_equal(at->server, 1);
	sdk_pool_give(p, at);
	sdk_pool_revive(p, 2000, connect_to, &thing);
	assert_ptr_equal(sdk_pool_take(p), at);
	assert_non_null(at->conn);
	sdk_pool_give(p, at);
	answers[0] = PM_OK;
	sdk_pool_revive(p, 2000, connect_to, &thing);
	assert_non_null(strstr(said, "server a serves again"));
	assert_ptr_equal(sdk_pool_take(p), at);
	assert_null(at->conn);
	dial(p, at, 0, 2000);
	assert_int_equal(at->server, 0);
	sdk_pool_free(p);
	assert_int_equal(opened, closed);
}

/* ---- how servers are written ----------------------------------------------------------------- */

static void
written(const char *text, const char *host_is, uint16_t port, bool local)
{
	struct sdk_server s;

	assert_true(sdk_server_parse(&s, (struct pm_str){text, strlen(text)}, 5));
	assert_string_equal(s.host, host_is);
	assert_string_equal(s.label, text);
	assert_int_equal(s.port, port);
	assert_int_equal(s.local, local);
	sdk_server_free(&s);
}

static void
a_connection_to_a_server_that_is_down_is_not_used(void **state)
{
	struct sdk_pool *p = fresh(2);
	struct sdk_place *one = sdk_pool_take(p), *two = sdk_pool_take(p);

	(void)state;
	assert_int_equal(dial(p, one, 0, 2000), PM_OK);
	assert_int_equal(dial(p, two, 0, 2000), PM_OK);
	sdk_pool_give(p, two);
	assert_true(sdk_pool_any_up(p));
	sdk_pool_note(p, one->server, true, "a is frozen"); /* that one call has found out */
	two = sdk_pool_take(p);
	assert_null(two->conn);
	assert_int_equal(closed, 1);
	assert_int_equal(dial(p, two, 0, 2000), PM_OK);
	assert_string_equal(asked, "b");
	assert_true(sdk_pool_any_up(p));
	sdk_pool_note(p, 1, true, "b too");
	sdk_pool_note(p, 2, true, "c too");
	assert_false(sdk_pool_any_up(p));
	sdk_pool_free(p);
	assert_int_equal(opened, closed);
}

static unsigned shown;
static bool is_idle;

static bool
look(void *conn)
{
	assert_non_null(conn);
	shown++;
	return is_idle;
}

static void
a_sweep_sees_connections_that_nobody_uses(void **state)
{
	struct sdk_pool *p = fresh(3);
	struct sdk_place *busy = sdk_pool_take(p), *idle = sdk_pool_take(p);

	(void)state;
	assert_int_equal(dial(p, busy, 0, 2000), PM_OK);
	assert_int_equal(dial(p, idle, 0, 2000), PM_OK);
	sdk_pool_give(p, idle);
	shown = 0;
	is_idle = false;
	sdk_pool_sweep(p, look);
	assert_int_equal(shown, 1);
	assert_int_equal(closed, 0);
	is_idle = true;
	sdk_pool_sweep(p, look);
	assert_int_equal(shown, 2);
	assert_int_equal(closed, 1);
	assert_null(idle->conn);
	assert_non_null(busy->conn);
	sdk_pool_give(p, busy);
	sdk_pool_free(p);
	assert_int_equal(opened, closed);
}

static void
servers_are_hosts_addresses_or_paths(void **state)
{
	static const char *const wrong[] = {"",     ":1",   "h:",   "h:0",    "h:65536",
					    "h:1x", "[::1", "[]:1", "[::1]x", "[::1]:"};

	(void)state;
	written("db.example.org", "db.example.org", 5, false);
	written("db:3306", "db", 3306, false);
	written("192.0.2.1:65535", "192.0.2.1", 65535, false);
	written("::1", "::1", 5, false);
	written("[::1]", "::1", 5, false);
	written("[2001:db8::1]:77", "2001:db8::1", 77, false);
	written("/run/db.sock", "/run/db.sock", 5, true);
	written("/run/db:77", "/run/db", 77, true);
	for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		struct sdk_server s;

		assert_false(sdk_server_parse(&s, (struct pm_str){wrong[k], strlen(wrong[k])}, 5));
		sdk_server_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connected_places_are_taken_first),
		cmocka_unit_test(more_calls_than_permits_get_none),
		cmocka_unit_test(retiring_closes_idle_ones_now_and_busy_ones_later),
		cmocka_unit_test(servers_are_tried_in_order_and_those_that_failed_last),
		cmocka_unit_test(each_gets_its_share_of_the_time),
		cmocka_unit_test(no_memory_says_nothing_about_a_server),
		cmocka_unit_test(a_server_that_is_back_draws_connections_to_it),
		cmocka_unit_test(a_connection_to_a_server_that_is_down_is_not_used),
		cmocka_unit_test(a_sweep_sees_connections_that_nobody_uses),
		cmocka_unit_test(servers_are_hosts_addresses_or_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
