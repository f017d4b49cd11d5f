/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_rig.h"
#include "work/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 6
#define TASKS 64
#define ROUNDS 300

static int64_t now_ms;

static int64_t
test_clock(void)
{
	return now_ms;
}

static int
setup(void **state)
{
	(void)state;
	queue_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	queue_fini();
	clock_replace(NULL);
	return 0;
}

static void
first_in_first_out_and_batches_stay_in_order(void **state)
{
	struct queue_worker *w = queue_worker_new();
	struct task t[4];

	(void)state;
	memset(t, 0, sizeof(t));
	queue_push(&t[0]);
	t[1].link = &t[2];
	queue_push_batch(&t[1], &t[2]);
	queue_push(&t[3]);
	assert_int_equal(queue_depth(), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_ptr_equal(queue_pop(w), &t[i]);
		assert_null(t[i].link);
	}
	assert_int_equal(queue_depth(), 0);
	queue_worker_free(w);
}

static void
the_age_is_that_of_the_head(void **state)
{
	struct queue_worker *w = queue_worker_new();
	struct task a = {0}, b = {0};

	(void)state;
	clock_replace(test_clock);
	now_ms = 1000;
	assert_int_equal(queue_head_age_ms(5000), 0);
	queue_push(&a);
	now_ms = 1300;
	queue_push(&b);
	assert_int_equal(queue_head_age_ms(1500), 500);
	assert_ptr_equal(queue_pop(w), &a);
	assert_int_equal(queue_head_age_ms(1500), 200);
	assert_ptr_equal(queue_pop(w), &b);
	queue_worker_free(w);
}

static void
stop_lets_workers_empty_the_queue_first(void **state)
{
	struct queue_worker *w = queue_worker_new();
	struct task a = {0};

	(void)state;
	queue_push(&a);
	queue_stop();
	assert_ptr_equal(queue_pop(w), &a);
	assert_null(queue_pop(w));
	queue_worker_free(w);
}

/* ---- with threads ---------------------------------------------------------------------------- */

static _Atomic unsigned done, inside;
static _Atomic bool hold;

static void *
worker(void *arg)
{
	struct task *t;

	while ((t = queue_pop(arg))) {
		atomic_fetch_add(&inside, 1);
		while (atomic_load(&hold))
			usleep(500);
		atomic_fetch_sub(&inside, 1);
		atomic_fetch_add(&done, 1);
	}
	return NULL;
}

static void
workers_start(struct queue_worker **places, pthread_t *threads)
{
	atomic_store(&done, 0);
	for (size_t i = 0; i < WORKERS; i++) {
		places[i] = queue_worker_new();
		assert_int_equal(pthread_create(&threads[i], NULL, worker, places[i]), 0);
	}
}

static void
workers_stop(struct queue_worker **places, pthread_t *threads)
{
	queue_stop();
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < WORKERS; i++)
		queue_worker_free(places[i]);
}

static void
every_task_is_popped_once(void **state)
{
	static struct task tasks[TASKS * ROUNDS];
	struct queue_worker *places[WORKERS];
	pthread_t threads[WORKERS];

	(void)state;
	memset(tasks, 0, sizeof(tasks));
	workers_start(places, threads);
	for (unsigned r = 0; r < ROUNDS; r++) {
		struct task *t = &tasks[r * TASKS];

		for (size_t i = 0; i + 1 < TASKS; i++)
			t[i].link = &t[i + 1];
		queue_push_batch(t, &t[TASKS - 1]);
	}
	workers_stop(places, threads);
	assert_int_equal(atomic_load(&done), TASKS * ROUNDS);
}

/* The chain in pop: one batch, and although each worker blocks, all come to be inside. */
static void
a_batch_wakes_as_many_as_it_needs(void **state)
{
	struct queue_worker *places[WORKERS];
	pthread_t threads[WORKERS];
	struct task t[WORKERS];

	(void)state;
	memset(t, 0, sizeof(t));
	workers_start(places, threads);
	for (unsigned round = 0; round < 50; round++) {
		atomic_store(&hold, true);
		for (size_t i = 0; i + 1 < WORKERS; i++)
			t[i].link = &t[i + 1];
		queue_push_batch(&t[0], &t[WORKERS - 1]);
		for (unsigned n = 0; atomic_load(&inside) < WORKERS; n++) {
			assert_true(n < 240000);
			usleep(500);
		}
		atomic_store(&hold, false);
		while (atomic_load(&done) < (round + 1) * WORKERS)
			usleep(100);
	}
	workers_stop(places, threads);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_in_first_out_and_batches_stay_in_order),
		TEST(the_age_is_that_of_the_head),
		TEST(stop_lets_workers_empty_the_queue_first),
		TEST(every_task_is_popped_once),
		TEST(a_batch_wakes_as_many_as_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
