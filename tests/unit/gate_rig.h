/* SPDX-License-Identifier: Apache-2.0 */
/* gate_rig - one thread plays the pool: tasks that the gate lets go are found in the run queue. */
#ifndef TESTS_UNIT_GATE_RIG_H
#define TESTS_UNIT_GATE_RIG_H

#include "work/gate_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "clock_rig.h"
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

	gate_status_each(find_one, &f);
	return f.status;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
