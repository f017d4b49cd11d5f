/* SPDX-License-Identifier: Apache-2.0 */
/* One thread plays the pool: what the gate lets go is found in the run queue. */
#include "work/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "work/queue.h"
#include "work/slot.h"

#define TASKS 40

static const struct gate_limits usual = {
	.permits = 2,
	.queue_max = 8,
	.trip_after = 3,
	.wait_ms = 1000,
	.call_ms = 2000,
	.breaker_open_ms = 10000,
};

static int64_t now_ms;
static struct queue_worker *me;
static struct task tasks[TASKS];
static struct gate *probed;

static int64_t
test_clock(void)
{
	return now_ms;
}

static int
setup(void **state)
{
	(void)state;
	now_ms = 1000000;
	clock_replace(test_clock);
	queue_init();
	assert_true(slot_init(TASKS));
	gate_init_global(100, 2);
	me = queue_worker_new();
	memset(tasks, 0, sizeof(tasks));
	for (size_t i = 0; i < TASKS; i++) {
		assert_non_null(slot_take(&tasks[i]));
		tasks[i].call_class = CALL_BEGIN;
		tasks[i].who_key = i;
	}
	probed = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	gate_fini_all();
	queue_worker_free(me);
	slot_fini();
	queue_fini();
	clock_replace(NULL);
	return 0;
}

static enum gate_answer
enter(struct gate *g, unsigned i)
{
	return gate_enter(g, &tasks[i]);
}

static enum gate_answer
enter_as(struct gate *g, unsigned i, enum call_class c, int64_t wait_until_ms)
{
	tasks[i].call_class = (uint8_t)c;
	tasks[i].wait_until_ms = wait_until_ms;
	return gate_enter(g, &tasks[i]);
}

static void
leave(unsigned i, bool failed)
{
	tasks[i].backend_failed = failed;
	gate_leave(tasks[i].held, &tasks[i], 5);
	tasks[i].verdict = VERDICT_NONE;
}

/* The next in the run queue is task i with this verdict. */
static void
comes(unsigned i, enum verdict v)
{
	struct task *t;

	assert_true(queue_depth() > 0);
	t = queue_pop(me);
	assert_ptr_equal(t, &tasks[i]);
	assert_int_equal(t->verdict, v);
	assert_int_equal(t->held != NULL, v == VERDICT_GO);
	slot_set_running(t->slot);
}

static void
nobody_comes(void)
{
	assert_int_equal(queue_depth(), 0);
}

static void
probe(struct gate *g)
{
	probed = g;
}

struct find {
	const char *name;
	struct gate_status status;
};

static void
find_one(const struct gate_status *s, void *ctx)
{
	struct find *f = ctx;

	if (strcmp(s->name, f->name) == 0)
		f->status = *s;
}

static struct gate_status
status_of(const char *name)
{
	struct find f = {.name = name};

	gate_each(find_one, &f);
	return f.status;
}

/* ---- permits and lines ----------------------------------------------------------------------- */

static void
permits_are_the_limit_and_go_on_to_who_waits(void **state)
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
what_is_given_back_goes_before_what_goes_on_before_what_begins(void **state)
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
	struct gate_limits l = usual, seen;
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
	gate_get_limits(g, &seen);
	assert_int_equal(seen.permits, 1);
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
	gate_tick(now_ms, probe); /* the tick lets in, too */
	comes(0, VERDICT_GO);
	for (unsigned i = 0; i < 4; i++)
		leave(i, false);
	nobody_comes();
}

/* ---- the breaker ----------------------------------------------------------------------------- */

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

/* A module may tick between any two users. */
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
an_open_breaker_refuses_only_what_begins(void **state)
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
	comes(14, VERDICT_REFUSED); /* who waited to begin is told at once */
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(permits_are_the_limit_and_go_on_to_who_waits),
		TEST(what_is_given_back_goes_before_what_goes_on_before_what_begins),
		TEST(the_line_to_begin_is_bounded_the_others_are_not),
		TEST(an_address_has_a_quarter_of_the_places),
		TEST(waiting_ends_with_its_time),
		TEST(a_kick_ends_waiting_but_never_giving_back),
		TEST(the_same_name_is_the_same_gate_resized),
		TEST(all_gates_together_leave_the_reserve_free),
		TEST(failures_in_a_row_of_two_accounts_open_it),
		TEST(a_tick_that_goes_well_proves_nothing),
		TEST(an_open_breaker_refuses_only_what_begins),
		TEST(after_its_time_one_probe_decides),
		TEST(a_probe_that_never_answers_is_sent_again),
		TEST(without_a_prober_the_next_call_is_the_probe),
		TEST(an_overdue_call_opens_it_at_once_unless_it_never_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
