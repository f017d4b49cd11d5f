/* SPDX-License-Identifier: Apache-2.0 */
#include "work/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "work/queue.h"

#define SLOTS 4

static int
setup(void **state)
{
	(void)state;
	queue_init();
	assert_true(slot_init(SLOTS));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	slot_fini();
	queue_fini();
	return 0;
}

static void
end(struct slot *s)
{
	slot_retire(s);
	slot_release(s);
}

static void
taken_slots_run_and_run_out(void **state)
{
	struct task t[SLOTS + 1] = {0};

	(void)state;
	for (size_t i = 0; i < SLOTS; i++) {
		assert_non_null(slot_take(&t[i]));
		assert_ptr_equal(slot_task(t[i].slot), &t[i]);
		assert_int_not_equal(slot_get_token(t[i].slot), 0);
	}
	assert_null(slot_take(&t[SLOTS]));
	end(t[2].slot);
	assert_non_null(slot_take(&t[SLOTS]));
}

static void
a_claim_finds_a_parked_task_once(void **state)
{
	struct task t = {0}, *got = NULL;
	struct slot *s = slot_take(&t);
	slot_token token = slot_get_token(s);

	(void)state;
	assert_true(slot_park(s));
	assert_true(slot_claim(token, &got));
	assert_ptr_equal(got, &t);
	assert_false(slot_claim(token, &got)); /* QUEUED */
	slot_set_running(s);
	end(s);
}

static void
a_claim_while_running_costs_one_more_turn(void **state)
{
	struct task t = {0}, *got;
	struct slot *s = slot_take(&t);

	(void)state;
	assert_false(slot_claim(slot_get_token(s), &got));
	assert_false(slot_claim(slot_get_token(s), &got)); /* HIT already */
	assert_false(slot_park(s));
	assert_true(slot_park(s));
}

static void
a_claim_while_gated_does_nothing(void **state)
{
	struct task t = {0}, *got;
	struct slot *s = slot_take(&t);

	(void)state;
	slot_set_gated(s);
	assert_false(slot_claim(slot_get_token(s), &got));
	slot_set_queued(s);
	slot_set_running(s);
	assert_true(slot_park(s)); /* nothing was remembered: the coming turn looks anyway */
}

static void
an_old_token_does_nothing(void **state)
{
	struct task a = {0}, b = {0}, *got;
	struct slot *s = slot_take(&a);
	slot_token old = slot_get_token(s);

	(void)state;
	end(s);
	assert_false(slot_wake(old, NOTE_KICK));
	assert_ptr_equal(slot_take(&b), s); /* the same slot again */
	assert_false(slot_claim(old, &got));
	assert_false(slot_wake(old, NOTE_KICK));
	slot_add_note(old, NOTE_KICK);
	assert_int_equal(slot_peek_note(s), 0);
	assert_true(slot_park(s));                                  /* not HIT */
	assert_false(slot_claim((slot_token)7 << 32 | 4711, &got)); /* no such slot */
	assert_false(slot_wake(0, NOTE_KICK));
}

static void
notes_are_taken_once_but_the_peers_end_stays(void **state)
{
	struct task t = {0};
	struct slot *s = slot_take(&t);

	(void)state;
	assert_int_equal(slot_take_note(s), 0);
	slot_add_note(slot_get_token(s), NOTE_KICK);
	slot_add_note(slot_get_token(s), NOTE_HUP);
	assert_int_equal(slot_peek_note(s), NOTE_KICK | NOTE_HUP);
	assert_int_equal(slot_take_note(s), NOTE_KICK | NOTE_HUP);
	assert_int_equal(slot_take_note(s), NOTE_HUP);
	end(s);
	assert_int_equal(slot_peek_note(s), 0);
}

static void
wake_queues_a_parked_task(void **state)
{
	struct queue_worker *w = queue_worker_new();
	struct task t = {0};
	struct slot *s = slot_take(&t);

	(void)state;
	assert_true(slot_park(s));
	assert_true(slot_wake(slot_get_token(s), NOTE_DRAIN));
	assert_true(slot_wake(slot_get_token(s), NOTE_TAKEOVER)); /* noted, not pushed twice */
	assert_int_equal(queue_depth(), 1);
	assert_ptr_equal(queue_pop(w), &t);
	slot_set_running(s);
	assert_int_equal(slot_take_note(s), NOTE_DRAIN | NOTE_TAKEOVER);
	queue_worker_free(w);
}

static void
count_push(struct task *t, void *ctx)
{
	struct task **last = ctx;

	assert_null(*last);
	*last = t;
}

static void
only_a_parked_task_is_claimed_by_its_deadline(void **state)
{
	struct task t[3] = {0}, *got = NULL;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		slot_set_deadline(slot_take(&t[i]), i == 2 ? INT64_MAX : 1000);
	assert_true(slot_park(t[0].slot)); /* t[1] is running */
	assert_true(slot_park(t[2].slot)); /* for ever */
	slot_scan_deadlines(999, count_push, &got);
	assert_null(got);
	slot_scan_deadlines(1000, count_push, &got);
	assert_ptr_equal(got, &t[0]);
	assert_true(slot_park(t[1].slot)); /* not HIT */
	slot_set_running(t[0].slot);
	end(t[0].slot);
	got = NULL;
	assert_ptr_equal(slot_take(&t[0]), t[0].slot); /* a new one has no deadline */
	assert_true(slot_park(t[0].slot));
	slot_scan_deadlines(999, count_push, &got);
	assert_null(got);
}

static void
the_record_shows_user_and_place(void **state)
{
	struct slot_record r = {.id = 42, .user = "ann"}, seen;
	struct task t = {0}, *got;
	struct slot *s;
	slot_token token;
	char where;

	(void)state;
	assert_false(slot_read(0, &seen, &token, &where));
	assert_false(slot_read(SLOTS, &seen, &token, &where));
	s = slot_take(&t);
	assert_true(slot_read(0, &seen, &token, &where));
	assert_int_equal(seen.id, 0); /* not the one before it */
	slot_publish(s, &r);
	assert_true(slot_read(0, &seen, &token, &where));
	assert_int_equal(where, 'R');
	assert_int_equal(seen.id, 42);
	assert_string_equal(seen.user, "ann");
	assert_true(token == slot_get_token(s));
	assert_true(slot_park(s));
	assert_true(slot_read(0, &seen, &token, &where));
	assert_int_equal(where, 'P');
	assert_true(slot_claim(token, &got));
	assert_true(slot_read(0, &seen, &token, &where));
	assert_int_equal(where, 'Q');
	slot_set_running(s);
	slot_set_gated(s);
	assert_true(slot_read(0, &seen, &token, &where));
	assert_int_equal(where, 'G');
	slot_set_queued(s);
	slot_set_running(s);
	end(s);
	assert_false(slot_read(0, &seen, &token, &where));
}

/* ---- with threads ---------------------------------------------------------------------------- */

#define ROUNDS 20000

static _Atomic bool over;

/* Every word of the record holds the same number. */
static void *
reader(void *arg)
{
	unsigned *seen = arg;

	while (!atomic_load(&over)) {
		struct slot_record r;
		slot_token token;
		char where, text[sizeof(r.user)];

		if (!slot_read(0, &r, &token, &where))
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)r.id);
		assert_true(r.id == 0 || strcmp(text, r.user) == 0);
		assert_true(r.octets_out == r.id && r.pending_dele == (uint32_t)r.id);
		(*seen)++;
		sched_yield();
	}
	return NULL;
}

static void
a_reader_never_sees_half_a_record(void **state)
{
	unsigned seen[2] = {0};
	pthread_t threads[2];
	struct task t = {0};
	struct slot *s = slot_take(&t);

	(void)state;
	atomic_store(&over, false);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &seen[i]), 0);
	for (uint64_t n = 1; n < ROUNDS; n++) {
		struct slot_record r = {.id = n, .octets_out = n, .pending_dele = (uint32_t)n};

		snprintf(r.user, sizeof(r.user), "%llu", (unsigned long long)n);
		slot_publish(s, &r);
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* Claimers compete for one task; the winner has it alone. */
static struct task contested;
static int owners; /* not atomic: the sanitizer sees two of them */

static void *
claimer(void *arg)
{
	slot_token token = *(slot_token *)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct task *t;

		if (!slot_claim(token, &t))
			continue;
		owners++;
		slot_set_running(t->slot);
		owners--;
		while (!slot_park(t->slot))
			;
	}
	return NULL;
}

static void
a_task_has_one_owner(void **state)
{
	struct slot *s = slot_take(&contested);
	slot_token token = slot_get_token(s);
	pthread_t threads[4];

	(void)state;
	owners = 0;
	assert_true(slot_park(s));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claimer, &token), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(owners, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(taken_slots_run_and_run_out),
		TEST(a_claim_finds_a_parked_task_once),
		TEST(a_claim_while_running_costs_one_more_turn),
		TEST(a_claim_while_gated_does_nothing),
		TEST(an_old_token_does_nothing),
		TEST(notes_are_taken_once_but_the_peers_end_stays),
		TEST(wake_queues_a_parked_task),
		TEST(only_a_parked_task_is_claimed_by_its_deadline),
		TEST(the_record_shows_user_and_place),
		TEST(a_reader_never_sees_half_a_record),
		TEST(a_task_has_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
