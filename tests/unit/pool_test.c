/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_rig.h"
#include "work/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "work/gate_status.h"
#include "work/queue.h"
#include "work/slot.h"

#define WORKERS 4
#define SLOTS 8
#define DEADLINE_MS 500000

static _Atomic int64_t now_ms;
static _Atomic int exits, closed;
static struct gate *gate;

static int64_t
test_clock(void)
{
	return atomic_load(&now_ms);
}

static void
thread_exit(void)
{
	atomic_fetch_add(&exits, 1);
}

static const struct gate_limits usual = {
	.permits = 1,
	.queue_max = 4,
	.trip_after = 3,
	.wait_ms = 1000,
	.call_ms = 1000,
	.breaker_open_ms = 10000,
};

static int
setup(void **state)
{
	(void)state;
	atomic_store(&now_ms, 100000);
	atomic_store(&exits, 0);
	atomic_store(&closed, 0);
	clock_replace(test_clock);
	queue_init();
	assert_true(slot_init(SLOTS));
	gate_init_global(WORKERS, 2);
	gate = gate_get("a", &usual);
	pool_set_thread_exit(thread_exit);
	assert_true(pool_start(WORKERS));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_stop();
	assert_int_equal(atomic_load(&exits), WORKERS);
	gate_fini_all();
	slot_fini();
	queue_fini();
	clock_replace(NULL);
	return 0;
}

static void
wait_for(_Atomic int *what, int value)
{
	for (unsigned n = 0; atomic_load(what) != value; n++) {
		assert_true(n < 240000);
		usleep(500);
	}
}

static void
start(struct task *t)
{
	assert_non_null(slot_take(t));
	slot_set_queued(t->slot);
	queue_push(t);
}

static void
on_close(struct task *t)
{
	(void)t;
	atomic_fetch_add(&closed, 1);
}

/* ---- the next move --------------------------------------------------------------------------- */

/* Again and again: after the others, for a permit, parked; then done. */
struct walker {
	struct task task;
	unsigned turns;
	_Atomic int parked;
	bool wrong;
};

static enum next
walk(struct task *t)
{
	struct walker *w = (struct walker *)t;

	switch (w->turns++) {
	case 0:
		w->wrong |= t->verdict != VERDICT_NONE || t->held;
		return NEXT_AGAIN;
	case 1:
		w->wrong |= t->verdict != VERDICT_NONE || t->held;
		t->need = gate;
		t->call_class = CALL_BEGIN;
		return NEXT_AGAIN;
	case 2:
		w->wrong |= t->verdict != VERDICT_GO || t->held != gate;
		t->need = gate;
		return NEXT_AGAIN;
	case 3:
		w->wrong |= t->verdict != VERDICT_GO || t->held != gate;
		return NEXT_AGAIN;
	case 4:
		w->wrong |= t->verdict != VERDICT_NONE || t->held;
		atomic_store(&w->parked, 1);
		return NEXT_PARK;
	default:
		w->wrong |= !(slot_take_note(t->slot) & NOTE_WAKE);
		return NEXT_DONE;
	}
}

static void
a_task_gets_what_its_step_wants(void **state)
{
	struct walker w = {.task = {.step = walk, .close = on_close}};

	(void)state;
	start(&w.task);
	wait_for(&w.parked, 1);
	assert_true(slot_wake(slot_get_token(w.task.slot), NOTE_WAKE));
	wait_for(&closed, 1);
	assert_int_equal(w.turns, 6);
	assert_false(w.wrong);
}

/* It is hit in every turn of its own, and another wants to run. */
static _Atomic int other_ran;

static enum next
greedy(struct task *t)
{
	if (atomic_load(&other_ran))
		return NEXT_DONE;
	(void)slot_wake(slot_get_token(t->slot), 0);
	return NEXT_PARK;
}

static enum next
modest(struct task *t)
{
	(void)t;
	atomic_store(&other_ran, 1);
	return NEXT_DONE;
}

static void
a_task_that_never_stops_lets_others_run(void **state)
{
	struct task greedy_ones[WORKERS], other = {.step = modest, .close = on_close};

	(void)state;
	memset(greedy_ones, 0, sizeof(greedy_ones));
	atomic_store(&other_ran, 0);
	for (size_t i = 0; i < WORKERS; i++) {
		greedy_ones[i].step = greedy;
		greedy_ones[i].close = on_close;
		start(&greedy_ones[i]);
	}
	start(&other);
	wait_for(&closed, WORKERS + 1);
}

/* ---- the watchdog ---------------------------------------------------------------------------- */

static _Atomic int calling, go;

static enum next
hang(struct task *t)
{
	if (t->verdict != VERDICT_GO) {
		t->need = gate;
		t->call_class = CALL_BEGIN;
		return NEXT_AGAIN;
	}
	pool_calling("verify", mono_ms(), DEADLINE_MS);
	atomic_store(&calling, 1);
	while (!atomic_load(&go))
		usleep(500);
	return NEXT_DONE;
}

static void
see_call(const struct pool_call_status *s, void *ctx)
{
	*(struct pool_call_status *)ctx = *s;
}

static void
see_gate(const struct gate_status *s, void *ctx)
{
	*(struct gate_status *)ctx = *s;
}

static struct gate_status
watch_at(int64_t ms)
{
	struct gate_status s = {0};

	atomic_store(&now_ms, ms - 250); /* a tick in time before it */
	pool_watch(ms - 250);
	atomic_store(&now_ms, ms);
	pool_watch(ms);
	gate_status_each(see_gate, &s);
	return s;
}

static void
a_call_past_its_deadline_is_reported_once(void **state)
{
	struct task t = {.step = hang, .close = on_close, .id = 4711};
	struct pool_call_status s = {0};

	(void)state;
	atomic_store(&calling, 0);
	atomic_store(&go, 0);
	pool_each_call(see_call, &s);
	assert_int_equal(s.task_id, 0);
	start(&t);
	wait_for(&calling, 1);
	pool_each_call(see_call, &s);
	assert_string_equal(s.gate, "a");
	assert_string_equal(s.method, "verify");
	assert_int_equal(s.task_id, 4711);
	assert_false(s.overdue);
	assert_int_equal(watch_at(DEADLINE_MS + 1999).overdue, 0);
	/* the machine was suspended: after a late tick nobody is judged */
	atomic_store(&now_ms, DEADLINE_MS + 5000);
	pool_watch(DEADLINE_MS + 5000);
	assert_int_equal(watch_at(DEADLINE_MS + 2000).overdue, 1);
	assert_string_equal(watch_at(DEADLINE_MS + 3000).breaker, "open");
	assert_int_equal(watch_at(DEADLINE_MS + 4000).overdue, 1);
	pool_each_call(see_call, &s);
	assert_true(s.overdue);
	atomic_store(&go, 1);
	wait_for(&closed, 1);
	s.task_id = 0;
	pool_each_call(see_call, &s);
	assert_int_equal(s.task_id, 0); /* it came back */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_task_gets_what_its_step_wants),
		TEST(a_task_that_never_stops_lets_others_run),
		TEST(a_call_past_its_deadline_is_reported_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
