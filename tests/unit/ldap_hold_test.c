/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that refuses the service is left alone for longer and longer; one thread tries. */
#include "../../backends/auth/ldap/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>

#define MINUTE INT64_C(60000)
#define THREADS 8

/* One try at that time; the minutes that follow, -1: it was not the time for a try. */
static int64_t
try_at(struct hold *h, size_t n_servers, int64_t minute, enum hold_end how)
{
	int64_t wait_ms = 0;

	if (!hold_begin(h, 1, minute * MINUTE, minute * MINUTE, &wait_ms)) {
		assert_true(wait_ms > 0);
		return -1;
	}
	return hold_end(h, 1, n_servers, how, minute * MINUTE) / MINUTE;
}

static void
each_refusal_makes_the_pause_longer(void **state)
{
	static const struct {
		int64_t minute;
		enum hold_end how;
		int64_t one, two; /* the pause with one server, with two */
	} tries[] = {
		{100, HOLD_REFUSED, 1, 2}, {100, HOLD_GOOD, -1, -1},    {102, HOLD_REFUSED, 5, 10},
		{106, HOLD_GOOD, -1, -1},  {112, HOLD_FAILED, 0, 0},    {112, HOLD_REFUSED, 15, 30},
		{126, HOLD_GOOD, -1, -1},  {142, HOLD_REFUSED, 15, 30}, {172, HOLD_GOOD, 0, 0},
		{172, HOLD_GOOD, 0, 0},    {172, HOLD_FAILED, 0, 0},    {172, HOLD_REFUSED, 1, 2},
	};
	struct hold h;

	(void)state;
	for (size_t n = 1; n <= 2; n++) {
		hold_init(&h);
		for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
			assert_int_equal(try_at(&h, n, tries[i].minute, tries[i].how),
					 n == 1 ? tries[i].one : tries[i].two);
		hold_clear(&h);
		assert_int_equal(try_at(&h, n, 172, HOLD_REFUSED), n);
		hold_fini(&h);
	}
}

static void
refusals_at_the_same_time_are_one(void **state)
{
	int64_t wait_ms;
	struct hold h;

	(void)state;
	hold_init(&h);
	assert_int_equal(try_at(&h, 1, 1, HOLD_GOOD), 0);
	for (int i = 0; i < 3; i++) /* it was good: nobody waits for anybody */
		assert_true(hold_begin(&h, 1, 2 * MINUTE, 2 * MINUTE, &wait_ms));
	for (int i = 0; i < 3; i++)
		assert_int_equal(hold_end(&h, 1, 1, HOLD_REFUSED, 2 * MINUTE), MINUTE);
	assert_int_equal(try_at(&h, 1, 3, HOLD_REFUSED), 5);
	hold_fini(&h);
}

/* ---- threads --------------------------------------------------------------------------------- */

static struct hold shared;
static atomic_int at_once, most, tried;
static enum hold_end outcome;

static void *
one_of_many(void *arg)
{
	int64_t wait_ms;

	(void)arg;
	if (!hold_begin(&shared, 0, 0, 60 * MINUTE, &wait_ms))
		return NULL;
	if (atomic_fetch_add(&at_once, 1) + 1 > atomic_load(&most))
		atomic_store(&most, atomic_load(&at_once));
	atomic_fetch_add(&tried, 1);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	atomic_fetch_sub(&at_once, 1);
	(void)hold_end(&shared, 0, 1, outcome, 0);
	return NULL;
}

static void
many(enum hold_end how)
{
	pthread_t t[THREADS];

	hold_init(&shared);
	outcome = how;
	at_once = most = tried = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_of_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	hold_fini(&shared);
}

static void
one_thread_tries_and_the_others_wait(void **state)
{
	(void)state;
	many(HOLD_REFUSED);
	assert_int_equal(tried, 1); /* as many at once could lock the account */
	many(HOLD_GOOD);
	assert_int_equal(tried, THREADS);
	many(HOLD_FAILED);
	assert_int_equal(tried, THREADS);
	assert_int_equal(most, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_makes_the_pause_longer),
		cmocka_unit_test(refusals_at_the_same_time_are_one),
		cmocka_unit_test(one_thread_tries_and_the_others_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
