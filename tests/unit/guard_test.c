/* SPDX-License-Identifier: Apache-2.0 */
/* The price of guessing: penalties, logins in flight, the grid; and strangers cannot make the table
 * grow. */
#include "account/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <restante/module.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HOME 0x1234567890abcdefu /* an address */
#define AWAY 0x1234567890abcdeeu
#define HOUR_MS 3600000
#define FLOOD (16 * 4096 * 2) /* twice the capacity of 16 shards */

static int64_t now;

static int
setup(void **state)
{
	(void)state;
	now = 1000000;
	guard_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	guard_fini();
	return 0;
}

static enum guard_answer
begin(const char *name, uint64_t peer)
{
	int64_t at;

	return guard_begin(name, peer, now, &at);
}

/* A login that is let in at once and ends like this. */
static void
login(const char *name, uint64_t peer, enum guard_result r)
{
	assert_int_equal(begin(name, peer), GUARD_GO);
	guard_end(name, peer, r, now);
}

/* How long a login has to wait now; at the end of that time it may begin. */
static int64_t
penalty(const char *name, uint64_t peer)
{
	int64_t at = now, ignored;

	if (guard_begin(name, peer, now, &at) == GUARD_WAIT) {
		assert_true(at > now);
		assert_int_equal(guard_begin(name, peer, at - 1, &ignored), GUARD_WAIT);
		assert_int_equal(ignored, at);
		assert_int_equal(guard_begin(name, peer, at, &ignored), GUARD_GO);
	}
	guard_end(name, peer, GUARD_UNDECIDED, at);
	return at - now;
}

/* ---- penalties ------------------------------------------------------------------------------- */

static void
penalties_rise(void **state)
{
	static const int seconds[] = {0, 1, 2, 4, 8, 15, 15, 15};

	(void)state;
	assert_int_equal(penalty("ann", HOME), 0);
	for (size_t i = 0; i < COUNT(seconds); i++) {
		login("ann", HOME, GUARD_DENIED);
		assert_int_equal(penalty("ann", HOME), seconds[i] * 1000);
		now += seconds[i] * 1000;
	}
	for (int i = 0; i < 1000; i++) { /* it ends there */
		login("ann", HOME, GUARD_DENIED);
		assert_int_equal(penalty("ann", HOME), 15000);
		now += 15000;
	}
}

static void
outcomes(void **state)
{
	(void)state;
	login("ann", HOME, GUARD_DENIED);
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 1000);
	now += 1000;
	login("ann", HOME, GUARD_UNDECIDED); /* the backend's fault, not hers */
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 2000);
	now += 2000;
	login("ann", HOME, GUARD_ACCEPTED);
	assert_int_equal(penalty("ann", HOME), 0);
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 0); /* from the beginning */
	login("ben", HOME, GUARD_ACCEPTED);        /* nothing to clear */
	login("ben", HOME, GUARD_UNDECIDED);
	assert_int_equal(penalty("ben", HOME), 0);
}

/* Guessing from elsewhere must not lock her out, nor must her success help the guesser. */
static void
penalties_are_of_a_name_and_an_address(void **state)
{
	static const char *const others[] = {"", "an", "anna", "Ann", "ann ", "ann@x", "ben"};

	(void)state;
	for (int i = 0; i < 2; i++)
		login("ann", AWAY, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 0);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(penalty(others[i], AWAY), 0);
	login("ann", HOME, GUARD_ACCEPTED);
	assert_int_equal(penalty("ann", AWAY), 1000);
	assert_int_equal(penalty("ann", 1), 0);
	assert_int_equal(penalty("ann", UINT64_MAX), 0);
}

static void
long_names_are_told_apart(void **state)
{
	char one[PM_NAME_MAX + 1], other[PM_NAME_MAX + 1];

	(void)state;
	memset(one, 'x', PM_NAME_MAX);
	one[PM_NAME_MAX] = '\0';
	memcpy(other, one, sizeof(one));
	other[PM_NAME_MAX - 1] = 'y';
	for (int i = 0; i < 2; i++)
		login(one, HOME, GUARD_DENIED);
	assert_int_equal(penalty(one, HOME), 1000);
	assert_int_equal(penalty(other, HOME), 0);
}

/* Several at once count each. */
static void
guesses_side_by_side(void **state)
{
	(void)state;
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		assert_int_equal(begin("ann", HOME), GUARD_GO);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		guard_end("ann", HOME, GUARD_DENIED, now);
	assert_int_equal(penalty("ann", HOME), 4000);
}

static void
failures_are_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		now += penalty("ann", HOME);
		login("ann", HOME, GUARD_DENIED);
	}
	now += 60000; /* waited out, not forgotten */
	assert_int_equal(penalty("ann", HOME), 0);
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 15000);
	now += HOUR_MS;
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 0);
	/* even if a failure from then is reported only now */
	login("ann", HOME, GUARD_DENIED);
	assert_int_equal(penalty("ann", HOME), 1000);
	now += 1000;
	assert_int_equal(begin("ann", HOME), GUARD_GO);
	now += HOUR_MS;
	guard_end("ann", HOME, GUARD_DENIED, now);
	assert_int_equal(penalty("ann", HOME), 0);
}

/* ---- logins in flight ------------------------------------------------------------------------ */

static void
logins_in_flight(void **state)
{
	(void)state;
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		assert_int_equal(begin("ann", i % 2 ? HOME : AWAY), GUARD_GO);
	assert_int_equal(begin("ann", HOME), GUARD_BUSY);
	assert_int_equal(begin("ann", 77), GUARD_BUSY); /* by name, from any address */
	assert_int_equal(begin("ben", HOME), GUARD_GO);
	guard_end("ann", AWAY, GUARD_UNDECIDED, now);
	assert_int_equal(begin("ann", HOME), GUARD_GO);
	assert_int_equal(begin("ann", HOME), GUARD_BUSY);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		guard_end("ann", HOME, GUARD_ACCEPTED, now);
	guard_end("ben", HOME, GUARD_ACCEPTED, now);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		assert_int_equal(begin("ann", HOME), GUARD_GO);
	assert_int_equal(begin("ann", HOME), GUARD_BUSY);
}

/* Logins that wait or are turned away are not in flight, and being busy is no failure. */
static void
only_the_let_in_count(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		login("ann", HOME, GUARD_DENIED);
	for (int i = 0; i < 100; i++)
		assert_int_equal(begin("ann", HOME), GUARD_WAIT);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		assert_int_equal(begin("ann", AWAY), GUARD_GO);
	for (int i = 0; i < 100; i++)
		assert_int_equal(begin("ann", AWAY), GUARD_BUSY);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		guard_end("ann", AWAY, GUARD_UNDECIDED, now);
	assert_int_equal(penalty("ann", AWAY), 0);
	assert_int_equal(penalty("ann", HOME), 1000);
}

/* ---- floods ---------------------------------------------------------------------------------- */

static void
a_flood_of_names_is_bounded(void **state)
{
	char name[24];

	(void)state;
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		assert_int_equal(begin("ann", HOME), GUARD_GO);
	for (int i = 0; i < 2; i++)
		login("oldest", HOME, GUARD_DENIED);
	assert_int_equal(penalty("oldest", HOME), 1000);
	for (int i = 0; i < FLOOD; i++) {
		snprintf(name, sizeof(name), "stranger%d", i);
		login(name, AWAY, GUARD_DENIED);
	}
	login(name, AWAY, GUARD_DENIED);
	assert_int_equal(penalty("oldest", HOME), 0);     /* gave way */
	assert_int_equal(penalty(name, AWAY), 1000);      /* the newest did not */
	assert_int_equal(begin("ann", HOME), GUARD_BUSY); /* nor a login in flight */
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++)
		guard_end("ann", HOME, GUARD_UNDECIDED, now);
	assert_int_equal(begin("ann", HOME), GUARD_GO);
}

static void
all_is_forgotten_at_the_end(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		login("ann", HOME, GUARD_DENIED);
	assert_int_equal(begin("ben", HOME), GUARD_GO);
	guard_fini();
	guard_init();
	assert_int_equal(penalty("ann", HOME), 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

static _Atomic int inside, most, let_in;

static void *
many_logins(void *arg)
{
	unsigned me = *(const unsigned *)arg;
	char mine[16];
	int64_t at;

	snprintf(mine, sizeof(mine), "mine%u", me);
	for (int i = 0; i < 3000; i++) {
		if (guard_begin("shared", HOME + me, 1000, &at) == GUARD_GO) {
			int n = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&most);

			while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
				;
			atomic_fetch_add(&let_in, 1);
			sched_yield();
			atomic_fetch_sub(&inside, 1);
			guard_end("shared", HOME + me, GUARD_UNDECIDED, 1000);
		}
		if (guard_begin(mine, HOME, 1000, &at) == GUARD_GO)
			guard_end(mine, HOME, i % 2 ? GUARD_ACCEPTED : GUARD_DENIED, 1000);
	}
	return NULL;
}

static void
threads(void **state)
{
	pthread_t thread[8];
	unsigned id[COUNT(thread)];

	(void)state;
	for (unsigned i = 0; i < COUNT(thread); i++) {
		id[i] = i;
		assert_int_equal(pthread_create(&thread[i], NULL, many_logins, &id[i]), 0);
	}
	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_in_range(most, 1, GUARD_IN_FLIGHT_MAX);
	assert_true(let_in > 0);
	for (int i = 0; i < GUARD_IN_FLIGHT_MAX; i++) /* all came back */
		assert_int_equal(begin("shared", HOME), GUARD_GO);
	assert_int_equal(begin("shared", HOME), GUARD_BUSY);
}

/* ---- the grid -------------------------------------------------------------------------------- */

static void
refusals_are_answered_on_the_grid(void **state)
{
	static const struct {
		int64_t started, now, at;
	} cases[] = {
		{0, 0, 1000},      {0, 1, 1000},
		{0, 999, 1000},    {0, 1000, 1000},
		{0, 1001, 2000},   {0, 1999, 2000},
		{0, 2000, 2000},   {0, 2001, 3000},
		{123, 123, 1123},  {123, 1122, 1123},
		{123, 1123, 1123}, {123, 1124, 2123},
		{500, 400, 1500},  {7, 60007, 60007},
		{7, 60008, 61007}, {1LL << 50, (1LL << 50) + 1500, (1LL << 50) + 2000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(guard_grid(cases[i].started, cases[i].now), cases[i].at);
	for (int64_t t = 77; t < 5000; t++) {
		int64_t at = guard_grid(77, t);

		assert_true(at >= t && at >= 1077 && (at < t + 1000 || at == 1077) &&
			    (at - 77) % 1000 == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(penalties_rise, setup, teardown),
		cmocka_unit_test_setup_teardown(outcomes, setup, teardown),
		cmocka_unit_test_setup_teardown(penalties_are_of_a_name_and_an_address, setup,
						teardown),
		cmocka_unit_test_setup_teardown(long_names_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(guesses_side_by_side, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(logins_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_let_in_count, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_names_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(all_is_forgotten_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
		cmocka_unit_test(refusals_are_answered_on_the_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
