/* SPDX-License-Identifier: Apache-2.0 */
/* When a backend counts as down, and which call finds out that it is back. */
#include "gate_rig.h"

/* Task i comes, fails, goes. */
static void
call_failing(struct gate *g, unsigned i)
{
	assert_int_equal(enter(g, i), GATE_GO);
	leave(i, true);
}

static void
failures_in_a_row_of_two_accounts_open_it(void **state)
{
	static const struct {
		const char *name;
		struct {
			unsigned who;
			bool failed;
		} calls[6];
		size_t n;
		const char *then;
	} cases[] = {
		{"three", {{0, true}, {1, true}, {2, true}}, 3, "open"},
		{"two only", {{0, true}, {1, true}}, 2, "closed"},
		{"one account", {{0, true}, {0, true}, {0, true}, {0, true}}, 4, "closed"},
		{"another at last", {{0, true}, {0, true}, {0, true}, {1, true}}, 4, "open"},
		{"a success between",
		 {{0, true}, {1, true}, {2, false}, {0, true}, {1, true}},
		 5,
		 "closed"},
		{"keys of before do not count",
		 {{1, true}, {2, false}, {0, true}, {0, true}, {0, true}},
		 5,
		 "closed"},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct gate *g = gate_get(cases[c].name, &usual);

		for (size_t i = 0; i < cases[c].n; i++) {
			assert_int_equal(enter(g, cases[c].calls[i].who), GATE_GO);
			leave(cases[c].calls[i].who, cases[c].calls[i].failed);
		}
		assert_string_equal(status_of(cases[c].name).breaker, cases[c].then);
	}
}

/* A module's tick may come between any two users. */
static void
a_tick_that_goes_well_proves_nothing(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	tasks[10].background = tasks[11].background = true;
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(status_of("a").breaker, "closed");
		assert_int_equal(enter(g, i), GATE_GO);
		leave(i, true);
		assert_int_equal(enter_as(g, 10, CALL_GIVE_BACK, 0), GATE_GO);
		leave(10, false);
	}
	assert_string_equal(status_of("a").breaker, "open");
}

static void
an_open_breaker_refuses_only_new_tasks(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	assert_int_equal(enter(g, 10), GATE_GO); /* one permit is in a call that hangs */
	assert_int_equal(enter(g, 0), GATE_GO);
	assert_int_equal(enter(g, 11), GATE_WAIT);
	tasks[12].probe = true;
	assert_int_equal(enter(g, 12), GATE_WAIT);
	assert_int_equal(enter_as(g, 13, CALL_GIVE_BACK, 0), GATE_WAIT);
	leave(0, true);
	comes(13, VERDICT_GO);
	leave(13, true);
	comes(11, VERDICT_GO);
	assert_int_equal(enter(g, 14), GATE_WAIT);
	leave(11, true);            /* the third */
	comes(14, VERDICT_REFUSED); /* tasks that waited to begin are told at once */
	comes(12, VERDICT_GO);      /* but the probe goes in */
	leave(12, true);
	assert_int_equal(enter(g, 20), GATE_REFUSED);
	assert_int_equal(enter_as(g, 21, CALL_CONTINUE, 0), GATE_GO);
	leave(21, false);
	assert_int_equal(enter_as(g, 22, CALL_GIVE_BACK, 0), GATE_GO);
	leave(22, false);
	assert_int_equal(enter(g, 20), GATE_REFUSED); /* their success does not close it */
	leave(10, false);
	assert_int_equal(status_of("a").trips, 1);
	assert_int_equal(status_of("a").failures, 4);
}

static void
after_its_time_one_probe_decides(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		call_failing(g, i);
	gate_tick(now_ms + usual.breaker_open_ms - 1, probe);
	assert_null(probed);
	now_ms += usual.breaker_open_ms;
	gate_tick(now_ms, probe);
	assert_ptr_equal(probed, g);
	assert_string_equal(status_of("a").breaker, "half-open");
	probed = NULL;
	gate_tick(now_ms, probe);
	assert_null(probed); /* one */
	assert_int_equal(enter(g, 5), GATE_REFUSED);
	tasks[6].probe = true;
	assert_int_equal(enter(g, 6), GATE_GO);
	leave(6, true);
	gate_probe_result(g, false);
	assert_string_equal(status_of("a").breaker, "open");
	assert_int_equal(enter(g, 5), GATE_REFUSED);
	now_ms += usual.breaker_open_ms;
	gate_tick(now_ms, probe);
	assert_ptr_equal(probed, g);
	gate_probe_result(g, true);
	assert_string_equal(status_of("a").breaker, "closed");
	assert_int_equal(enter(g, 5), GATE_GO);
	leave(5, false);
	assert_int_equal(status_of("a").trips, 1);
}

static void
a_probe_that_never_answers_is_sent_again(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		call_failing(g, i);
	now_ms += usual.breaker_open_ms;
	gate_tick(now_ms, probe);
	assert_ptr_equal(probed, g);
	probed = NULL;
	now_ms += usual.breaker_open_ms + usual.call_ms - 1;
	gate_tick(now_ms, probe);
	assert_null(probed);
	gate_tick(now_ms + 1, probe);
	assert_ptr_equal(probed, g);
	gate_probe_result(g, true);
}

static void
without_a_prober_the_next_call_is_the_probe(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		call_failing(g, i);
	now_ms += usual.breaker_open_ms;
	gate_tick(now_ms, NULL);
	call_failing(g, 4);
	assert_int_equal(enter(g, 5), GATE_REFUSED);
	now_ms += usual.breaker_open_ms;
	gate_tick(now_ms, NULL);
	assert_int_equal(enter(g, 4), GATE_GO);
	leave(4, false);
	call_failing(g, 5);
	assert_string_equal(status_of("a").breaker, "closed");
	assert_int_equal(status_of("a").trips, 2);
}

static void
an_overdue_call_opens_it_at_once_unless_it_never_opens(void **state)
{
	struct gate_limits never = usual;
	struct gate *a = gate_get("a", &usual), *b;

	(void)state;
	never.trip_after = 0;
	b = gate_get("b", &never);
	gate_overdue(a);
	gate_overdue(a);
	gate_overdue(b);
	assert_string_equal(status_of("a").breaker, "open");
	assert_int_equal(status_of("a").overdue, 2);
	assert_int_equal(status_of("a").trips, 1);
	assert_string_equal(status_of("b").breaker, "closed");
	for (unsigned i = 0; i < 20; i++)
		call_failing(b, i);
	assert_int_equal(enter(b, 1), GATE_GO);
	leave(1, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failures_in_a_row_of_two_accounts_open_it),
		TEST(a_tick_that_goes_well_proves_nothing),
		TEST(an_open_breaker_refuses_only_new_tasks),
		TEST(after_its_time_one_probe_decides),
		TEST(a_probe_that_never_answers_is_sent_again),
		TEST(without_a_prober_the_next_call_is_the_probe),
		TEST(an_overdue_call_opens_it_at_once_unless_it_never_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
