/* SPDX-License-Identifier: Apache-2.0 */
/* Permits: which task gets one, and when; see gate_breaker_test.c for the breaker. */
#include "gate_rig.h"

static void
nobody_comes(void)
{
	assert_int_equal(queue_depth(), 0);
}

/* ---- permits and lines ----------------------------------------------------------------------- */

static void
permits_are_the_limit_and_pass_to_waiting_tasks(void **state)
{
	struct gate *g = gate_get("a", &usual);

	(void)state;
	assert_int_equal(enter(g, 0), GATE_GO);
	assert_int_equal(tasks[0].verdict, VERDICT_GO);
	assert_int_equal(enter(g, 1), GATE_GO);
	assert_int_equal(enter(g, 2), GATE_WAIT);
	assert_int_equal(enter(g, 3), GATE_WAIT);
	assert_int_equal(status_of("a").waiting[CALL_BEGIN], 2);
	leave(0, false);
	comes(2, VERDICT_GO);
	nobody_comes();
	assert_int_equal(status_of("a").in_use, 2);
	leave(1, false);
	comes(3, VERDICT_GO);
	leave(2, false);
	leave(3, false);
	nobody_comes();
	assert_int_equal(status_of("a").in_use, 0);
	assert_int_equal(status_of("a").calls, 4);
	assert_int_equal(status_of("a").busy_ms, 20);
	assert_int_equal(status_of("a").slowest_ms, 5);
}

static void
giving_back_goes_before_going_on_before_beginning(void **state)
{
	struct gate_limits l = usual;
	struct gate *g;

	(void)state;
	l.permits = 1;
	g = gate_get("a", &l);
	assert_int_equal(enter(g, 0), GATE_GO);
	assert_int_equal(enter(g, 1), GATE_WAIT);
	assert_int_equal(enter_as(g, 2, CALL_CONTINUE, 0), GATE_WAIT);
	assert_int_equal(enter_as(g, 3, CALL_GIVE_BACK, 0), GATE_WAIT);
	assert_int_equal(enter_as(g, 4, CALL_GIVE_BACK, 0), GATE_WAIT);
	leave(0, false);
	comes(3, VERDICT_GO);
	leave(3, false);
	comes(4, VERDICT_GO);
	leave(4, false);
	comes(2, VERDICT_GO);
	leave(2, false);
	comes(1, VERDICT_GO);
	leave(1, false);
}

static void
the_line_to_begin_is_bounded_the_others_are_not(void **state)
{
	struct gate_limits l = usual;
	struct gate *g;

	(void)state;
	l.queue_max = 4;
	l.permits = 1;
	g = gate_get("a", &l);
	assert_int_equal(enter(g, 0), GATE_GO);
	for (unsigned i = 1; i <= 4; i++)
		assert_int_equal(enter(g, i), GATE_WAIT);
	assert_int_equal(enter(g, 5), GATE_REFUSED);
	assert_int_equal(tasks[5].verdict, VERDICT_REFUSED);
	for (unsigned i = 6; i < 20; i++)
		assert_int_equal(enter_as(g, i, i & 1 ? CALL_CONTINUE : CALL_GIVE_BACK, 0),
				 GATE_WAIT);
	assert_int_equal(status_of("a").refused, 1);
	leave(0, false);
	while (queue_depth() > 0) {
		struct task *t = queue_pop(me);

		slot_set_running(t->slot);
		gate_leave(g, t, 0);
	}
	assert_int_equal(status_of("a").calls, 19);
}

static void
an_address_has_a_quarter_of_the_places(void **state)
{
	struct gate_limits l = usual;
	struct gate *g;

	(void)state;
	l.permits = 1;
	g = gate_get("a", &l);
	assert_int_equal(enter(g, 0), GATE_GO);
	for (unsigned i = 1; i <= 8; i++)
		tasks[i].peer_key = i <= 4 ? 77 : 0;
	assert_int_equal(enter(g, 1), GATE_WAIT);
	assert_int_equal(enter(g, 2), GATE_WAIT);
	assert_int_equal(enter(g, 3), GATE_REFUSED); /* 8 / 4 */
	assert_int_equal(enter(g, 5), GATE_WAIT);    /* no address: a listed proxy */
	assert_int_equal(enter(g, 6), GATE_WAIT);
	assert_int_equal(enter(g, 7), GATE_WAIT);
	leave(0, false);
	comes(1, VERDICT_GO);
	assert_int_equal(enter(g, 3), GATE_WAIT); /* one of its places is free again */
	leave(1, false);
	while (queue_depth() > 0) {
		struct task *t = queue_pop(me);

		slot_set_running(t->slot);
		gate_leave(g, t, 0);
	}
}

/* ---- waiting ends ---------------------------------------------------------------------------- */

static void
waiting_ends_with_its_time(void **state)
{
	struct gate_limits l = usual;
	struct gate *g;

	(void)state;
	l.permits = 1;
	g = gate_get("a", &l);
	assert_int_equal(enter(g, 0), GATE_GO);
	assert_int_equal(enter(g, 1), GATE_WAIT); /* wait_ms */
	assert_int_equal(enter_as(g, 2, CALL_CONTINUE, now_ms + 5000), GATE_WAIT);
	assert_int_equal(enter_as(g, 3, CALL_CONTINUE, 0), GATE_WAIT);
	assert_int_equal(enter_as(g, 4, CALL_GIVE_BACK, now_ms + 5000), GATE_WAIT);
	now_ms += 999;
	gate_tick(now_ms, probe);
	nobody_comes();
	now_ms += 1;
	gate_tick(now_ms, probe);
	comes(1, VERDICT_TIMEOUT);
	nobody_comes();
	now_ms += 4000;
	gate_tick(now_ms, probe);
	comes(4, VERDICT_TIMEOUT);
	comes(2, VERDICT_TIMEOUT);
	now_ms += 3600000;
	gate_tick(now_ms, probe);
	nobody_comes(); /* 3 has no limit */
	assert_int_equal(status_of("a").timeouts, 3);
	leave(0, false);
	comes(3, VERDICT_GO);
	leave(3, false);
}

static void
a_kick_ends_waiting_but_never_giving_back(void **state)
{
	struct gate_limits l = usual;
	struct gate *g;

	(void)state;
	l.permits = 1;
	g = gate_get("a", &l);
	assert_int_equal(enter(g, 0), GATE_GO);
	assert_int_equal(enter(g, 1), GATE_WAIT);
	assert_int_equal(enter_as(g, 2, CALL_CONTINUE, 0), GATE_WAIT);
	assert_int_equal(enter_as(g, 3, CALL_GIVE_BACK, 0), GATE_WAIT);
	assert_int_equal(enter(g, 4), GATE_WAIT);
	for (unsigned i = 1; i <= 3; i++)
		assert_true(slot_wake(slot_get_token(tasks[i].slot), NOTE_KICK));
	assert_true(slot_wake(slot_get_token(tasks[4].slot), NOTE_DRAIN)); /* not a kick */
	nobody_comes();
	gate_tick(now_ms, probe);
	comes(2, VERDICT_CLOSED);
	comes(1, VERDICT_CLOSED);
	nobody_comes();
	leave(0, false);
	comes(3, VERDICT_GO);
	leave(3, false);
	comes(4, VERDICT_GO);
	leave(4, false);
}

/* ---- one name, one gate; all gates together -------------------------------------------------- */

static void
the_same_name_is_the_same_gate_resized(void **state)
{
	struct gate_limits l = usual;
	struct gate_status seen;
	struct gate *g = gate_get("a", &usual);

	(void)state;
	assert_ptr_not_equal(gate_get("b", &usual), g);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(enter(g, i), i < 2 ? GATE_GO : GATE_WAIT);
	l.permits = 4;
	assert_ptr_equal(gate_get("a", &l), g);
	comes(2, VERDICT_GO);
	comes(3, VERDICT_GO);
	nobody_comes();
	l.permits = 1;
	assert_ptr_equal(gate_get("a", &l), g);
	gate_status_get(g, &seen);
	assert_int_equal(seen.limits.permits, 1);
	for (unsigned i = 0; i < 3; i++) {
		leave(i, false);
		nobody_comes(); /* three permits too many are out */
	}
	leave(3, false);
	comes(4, VERDICT_GO);
	leave(4, false);
	assert_string_equal(gate_name(g), "a");
}

static void
all_gates_together_leave_the_reserve_free(void **state)
{
	struct gate *a = gate_get("a", &usual), *b = gate_get("b", &usual);

	(void)state;
	gate_init_global(5, 2); /* three inside; 2 + 2 permits */
	assert_int_equal(enter(a, 0), GATE_GO);
	assert_int_equal(enter(a, 1), GATE_GO);
	assert_int_equal(enter(b, 2), GATE_GO);
	assert_int_equal(enter(b, 3), GATE_WAIT); /* a permit is free, but not the count */
	gate_tick(now_ms, probe);
	nobody_comes();
	leave(0, false); /* at another gate */
	comes(3, VERDICT_GO);
	assert_int_equal(enter(a, 0), GATE_WAIT);
	gate_init_global(100, 2);
	gate_tick(now_ms, probe); /* the tick lets tasks in, too */
	comes(0, VERDICT_GO);
	for (unsigned i = 0; i < 4; i++)
		leave(i, false);
	nobody_comes();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(permits_are_the_limit_and_pass_to_waiting_tasks),
		TEST(giving_back_goes_before_going_on_before_beginning),
		TEST(the_line_to_begin_is_bounded_the_others_are_not),
		TEST(an_address_has_a_quarter_of_the_places),
		TEST(waiting_ends_with_its_time),
		TEST(a_kick_ends_waiting_but_never_giving_back),
		TEST(the_same_name_is_the_same_gate_resized),
		TEST(all_gates_together_leave_the_reserve_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
