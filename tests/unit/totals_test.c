/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembered totals during deliveries, counts and changes by strangers. The mailbox is a counter of
 * messages with a version that changes with it; it is counted message by message, in slices.
 */
#include "totals.h"

#include "host/toolhost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 20000
#define SLICE 40 /* messages */

/* ---- a mailbox ------------------------------------------------------------------------------- */

static _Atomic int64_t skew_ms;
static _Atomic unsigned ids, begun, slices,
	freed; /* counts begun, their slices, their work given back */

static struct {
	_Atomic uint64_t version, n;
	_Atomic unsigned
		id[2 * MOST]; /* of each message; 0: it was always there, or is a stranger's */
	_Atomic bool at_rest;
	_Atomic int32_t fails; /* what the next slice answers; 0: it counts */
	_Atomic bool slow;     /* a slice goes on until it is told otherwise */
	_Atomic bool inside;   /* one does */
	_Atomic bool blind;    /* a count sees nothing that comes after its beginning */
} box;

struct work {
	uint64_t at, end;
	struct pm_stat sum;
	bool saw[MOST];
};

static int64_t
skewed_ms(void *ctx)
{
	return toolhost_now_ms(ctx) + skew_ms;
}

static const struct pm_host host = {
	.size = sizeof(host), .now_ms = skewed_ms, .wall_ms = toolhost_wall_ms};
static const struct sdk_box key = {{1, 2}};

static struct sdk_look
look(void *ctx)
{
	(void)ctx;
	return (struct sdk_look){.word = {box.version}, .at_rest = box.at_rest};
}

/* Messages have 10 octets. Those that come during a count are seen or not, as by readdir. */
static int32_t
slice(void *ctx, void **work, struct pm_stat *ret)
{
	struct work *w = *work;
	int32_t rc = atomic_exchange(&box.fails, 0);

	(void)ctx;
	slices++;
	if (!w) {
		begun++;
		w = *work = calloc(1, sizeof(*w));
		assert_non_null(w);
		w->end = box.blind ? box.n : UINT64_MAX;
	}
	box.inside = true;
	while (box.slow)
		sched_yield();
	box.inside = false;
	if (rc != 0)
		return rc;
	for (unsigned k = 0; k < SLICE && w->at < box.n && w->at < w->end; k++, w->at++) {
		w->sum.count++;
		w->sum.octets += 10;
		w->saw[box.id[w->at]] = true;
		if (k % 8 == 0)
			sched_yield();
	}
	if (w->sum.count > 0 && w->sum.count % SLICE == 0 && w->at < box.n && w->at < w->end)
		return PM_AGAIN;
	*ret = w->sum;
	return PM_OK;
}

static bool
saw(void *work, const char *name)
{
	const struct work *w = work;

	return w->saw[strtoul(name, NULL, 10)];
}

static void
work_free(void *work)
{
	freed++;
	free(work);
}

static const struct sdk_count count = {.look = look, .slice = slice, .saw = saw};

static struct pm_stat
ask(struct sdk_totals *t)
{
	struct pm_stat s = {.size = sizeof(s)};
	int32_t rc;

	while ((rc = sdk_totals_ask(t, &key, &count, &s)) == PM_AGAIN)
		sched_yield();
	assert_int_equal(rc, PM_OK);
	assert_int_equal(s.size, sizeof(s));
	assert_int_equal(s.octets, s.count * 10);
	return s;
}

static void
deliver(struct sdk_totals *t)
{
	unsigned id = ++ids;
	struct sdk_look before, after;
	struct sdk_total *held;
	char name[24];

	snprintf(name, sizeof(name), "%u", id);
	held = sdk_totals_hold(t, &key, name);
	before = look(NULL);
	sched_yield();
	box.id[box.n] = id;
	box.n++;
	sched_yield();
	box.version++;
	sched_yield();
	after = look(NULL);
	if (held)
		sdk_totals_release(t, held, &before, &after, 10);
}

static void
stranger(void)
{
	box.n++;
	box.version++;
}

static int
fresh(void **state)
{
	(void)state;
	memset(&box, 0, sizeof(box));
	box.at_rest = true;
	ids = begun = slices = freed = 0;
	skew_ms = 0;
	return 0;
}

/* ---- one after another ----------------------------------------------------------------------- */

static void
counted_once(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);

	(void)state;
	assert_false(sdk_totals_used(t));
	assert_null(sdk_totals_hold(t, &key, "0")); /* nobody asked: nothing to look at */
	box.n = 3;
	assert_int_equal(ask(t).count, 3);
	assert_true(sdk_totals_used(t));
	deliver(t);
	deliver(t);
	assert_int_equal(ask(t).count, 5);
	assert_int_equal(begun, 1);
	stranger();
	assert_int_equal(ask(t).count, 6);
	assert_int_equal(begun, 2);
	stranger();
	deliver(t); /* added to a total that nobody counted: not believed */
	assert_int_equal(ask(t).count, 8);
	assert_int_equal(begun, 3);
	skew_ms += 10 * 60 * 1000;
	assert_int_equal(ask(t).count, 8);
	assert_int_equal(begun, 4);
	assert_int_equal(freed, begun);
	sdk_totals_free(t);
}

static void
ask_box(struct sdk_totals *t, uint64_t k)
{
	const struct sdk_box at = {{7, k}};
	struct pm_stat s = {.size = sizeof(s)};
	int32_t rc;

	while ((rc = sdk_totals_ask(t, &at, &count, &s)) == PM_AGAIN)
		;
	assert_int_equal(rc, PM_OK);
}

/* Of more mailboxes than it may remember the least recently used ones are counted again, not those
 * that came first. */
static void
the_busy_ones_are_remembered(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);

	(void)state;
	sdk_totals_bound(t, 4);
	for (uint64_t k = 0; k < 4; k++)
		ask_box(t, k);
	assert_int_equal(begun, 4);
	for (uint64_t k = 4; k < 100; k++) {
		ask_box(t, 0); /* asked for all the time */
		assert_int_equal(begun, k);
		ask_box(t, k); /* once */
		assert_int_equal(begun, k + 1);
	}
	ask_box(t, 99);
	ask_box(t, 98);
	ask_box(t, 97);
	assert_int_equal(begun, 100);
	ask_box(t, 96);
	assert_int_equal(begun, 101);
	sdk_totals_free(t);
}

/* A count made within one tick of the file system's clock is repeated, once, after the tick. */
static void
counted_again_at_rest(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);

	(void)state;
	box.at_rest = false;
	(void)ask(t);
	(void)ask(t);
	assert_int_equal(begun, 1);
	box.at_rest = true;
	(void)ask(t);
	(void)ask(t);
	box.at_rest = false;
	deliver(t);
	(void)ask(t);
	box.at_rest = true;
	assert_int_equal(ask(t).count, 1);
	assert_int_equal(begun, 2);
	sdk_totals_free(t);
}

static void
a_delivery_that_failed_changes_nothing(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct sdk_look before, other = {.word = {99}};
	struct sdk_total *held;

	(void)state;
	(void)ask(t);
	before = look(NULL);
	held = sdk_totals_hold(t, &key, "0");
	assert_non_null(held);
	sdk_totals_release(t, held, NULL, &other, 10);
	(void)ask(t);
	assert_int_equal(begun, 1);
	held = sdk_totals_hold(t, &key, "0");
	sdk_totals_release(t, held, &before, NULL, 10); /* nobody knows */
	(void)ask(t);
	assert_int_equal(begun, 2);
	sdk_totals_free(t);
}

static const struct sdk_count count_anew = {.look = look, .slice = slice, .saw = saw, .anew = true};

/* Somebody wants it counted although nothing shows a change: once, and that is remembered. */
static void
wanted_anew(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.n = 3;
	assert_int_equal(ask(t).count, 3);
	box.n = 2;
	assert_int_equal(ask(t).count, 3);
	assert_int_equal(sdk_totals_ask(t, &key, &count_anew, &s), PM_OK);
	assert_int_equal(s.count, 2);
	deliver(t);
	assert_int_equal(ask(t).count, 3);
	assert_int_equal(begun, 2);
	box.n = SLICE + 1;
	assert_int_equal(sdk_totals_ask(t, &key, &count_anew, &s), PM_AGAIN);
	assert_int_equal(ask(t).count, SLICE + 1); /* goes on with it */
	assert_int_equal(begun, 3);
	assert_int_equal(freed, begun);
	sdk_totals_free(t);
}

/* ---- slices ---------------------------------------------------------------------------------- */

static void
counted_in_slices(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.n = 3 * SLICE + 1;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	assert_int_equal(s.count, 0); /* untouched */
	deliver(t);                   /* after the part counted so far: seen later */
	assert_int_equal(ask(t).count, 3 * SLICE + 2);
	assert_int_equal(begun, 1);
	deliver(t);
	assert_int_equal(ask(t).count, 3 * SLICE + 3);
	assert_int_equal(begun, 1);
	assert_int_equal(freed, 1);
	sdk_totals_free(t);
}

/* Others change it while it is counted: the caller is told, and the next one counts. */
static void
strangers_beside_a_count(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.n = 2 * SLICE + 1;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	stranger();
	assert_int_equal(ask(t).count, 2 * SLICE + 2);
	assert_int_equal(ask(t).count, 2 * SLICE + 2);
	assert_int_equal(begun, 2);
	box.version++;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	stranger();
	deliver(t); /* notices it */
	assert_int_equal(ask(t).count, 2 * SLICE + 4);
	assert_int_equal(begun, 3);
	assert_int_equal(ask(t).count, 2 * SLICE + 4);
	assert_int_equal(begun, 4);
	assert_int_equal(freed, begun);
	sdk_totals_free(t);
}

static void
a_count_that_fails(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.fails = PM_TEMP;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_TEMP);
	assert_int_equal(freed, 1);
	deliver(t);
	assert_int_equal(ask(t).count, 1);
	assert_int_equal(begun, 2);
	sdk_totals_free(t);
}

/* The caller goes away between two slices. */
static void
a_count_left_alone(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.n = 2 * SLICE;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	sdk_totals_tidy(t);
	assert_int_equal(freed, 0);
	skew_ms += 60000;
	assert_int_equal(ask(t).count, 2 * SLICE); /* not the old one's */
	assert_int_equal(begun, 2);
	box.version++;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	skew_ms += 60000;
	sdk_totals_tidy(t);
	assert_int_equal(freed, begun);
	box.version++;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	sdk_totals_free(t);
	assert_int_equal(freed, begun);
}

/* A count that was already under way is out of date. */
static void
anew_beside_a_count(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};

	(void)state;
	box.n = 2 * SLICE;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	box.n = 5;
	assert_int_equal(sdk_totals_ask(t, &key, &count_anew, &s), PM_OK);
	assert_int_equal(s.count, 5);
	assert_int_equal(ask(t).count, 5);
	assert_int_equal(begun, 2);
	assert_int_equal(freed, begun);
	sdk_totals_free(t);
}

/* Messages that come after a count has begun, and while it ends, are in it once, seen or not. */
static void
deliveries_beside_a_count(void **state)
{
	struct sdk_look before, after;
	struct pm_stat s = {.size = sizeof(s)};

	for (int blind = 0; blind < 2; blind++) {
		struct sdk_totals *t = sdk_totals_new(&host, work_free);
		struct sdk_total *held;

		(void)fresh(state);
		box.blind = blind;
		box.n = SLICE + 1;
		assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
		deliver(t);
		held = sdk_totals_hold(t, &key, "7");
		before = look(NULL);
		box.id[box.n] = 7;
		box.n++;
		box.version++;
		assert_int_equal(ask(t).count, SLICE + (blind ? 2 : 3));
		after = look(NULL);
		sdk_totals_release(t, held, &before, &after, 10);
		assert_int_equal(ask(t).count, SLICE + 3);
		deliver(t);
		assert_int_equal(ask(t).count, SLICE + 4);
		assert_int_equal(begun, 1);
		sdk_totals_free(t);
	}
}

/* No count begins between the looks of a delivery: it could not tell whether the message is in its
 * first look. */
static void
no_count_begins_beside_a_delivery(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};
	struct sdk_total *held;

	(void)state;
	box.fails = PM_TEMP;
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_TEMP);
	held = sdk_totals_hold(t, &key, "1");
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	assert_int_equal(begun, 1);
	sdk_totals_release(t, held, NULL, NULL, 0);
	assert_int_equal(ask(t).count, 0);
	assert_int_equal(begun, 2);
	sdk_totals_free(t);
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define DELIVERERS 6
#define ASKERS 3
#define MAILS 400

struct crowd {
	struct sdk_totals *t;
	_Atomic bool over;
};

static void *
deliverer(void *arg)
{
	struct crowd *c = arg;

	for (int k = 0; k < MAILS; k++) {
		if (k % 2)
			(void)ask(c->t); /* as RCPT does */
		deliver(c->t);
	}
	return NULL;
}

static void *
asker(void *arg)
{
	struct crowd *c = arg;
	uint64_t last = 0;

	while (!c->over) {
		struct pm_stat s = ask(c->t);

		assert_true(s.count >= last); /* nobody deletes */
		last = s.count;
		sched_yield();
	}
	return NULL;
}

/* However they interleave, the mailbox is counted once, and the remembered total is right. */
static void
crowd(uint64_t holds)
{
	struct crowd c = {.t = sdk_totals_new(&host, work_free)};
	pthread_t threads[DELIVERERS + ASKERS];

	box.n = holds;
	(void)sdk_totals_ask(
		c.t, &key, &count,
		&(struct pm_stat){.size = sizeof(struct pm_stat)}); /* begun, or done */
	for (int k = 0; k < DELIVERERS + ASKERS; k++)
		assert_int_equal(
			pthread_create(&threads[k], NULL, k < DELIVERERS ? deliverer : asker, &c),
			0);
	for (int k = 0; k < DELIVERERS; k++)
		assert_int_equal(pthread_join(threads[k], NULL), 0);
	c.over = true;
	for (int k = DELIVERERS; k < DELIVERERS + ASKERS; k++)
		assert_int_equal(pthread_join(threads[k], NULL), 0);
	assert_int_equal(ask(c.t).count, holds + DELIVERERS * MAILS);
	assert_int_equal(box.n, holds + DELIVERERS * MAILS);
	assert_int_equal(begun, 1);
	assert_int_equal(freed, 1);
	sdk_totals_free(c.t);
}

static void
a_crowd_beside_a_total(void **state)
{
	(void)state;
	crowd(3);
}

static void
a_crowd_beside_a_count(void **state)
{
	(void)state;
	crowd(MOST);
}

/* A slice hangs: callers get the permit back, and deliveries go on. */
static void *
one_ask(void *arg)
{
	(void)ask(arg);
	return NULL;
}

static void
a_slice_that_hangs(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};
	pthread_t hangs;

	(void)state;
	box.slow = true;
	assert_int_equal(pthread_create(&hangs, NULL, one_ask, t), 0);
	while (!box.inside)
		sched_yield();
	assert_int_equal(sdk_totals_ask(t, &key, &count, &s), PM_AGAIN);
	deliver(t);
	assert_int_equal(slices, 1);
	box.slow = false;
	assert_int_equal(pthread_join(hangs, NULL), 0);
	assert_int_equal(ask(t).count, 1);
	assert_int_equal(begun, 1);
	sdk_totals_free(t);
}

/* The count that hangs is out of date: its caller is told, the next one counts. */
static void
anew_beside_a_slice(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};
	pthread_t hangs;

	(void)state;
	box.slow = true;
	assert_int_equal(pthread_create(&hangs, NULL, one_ask, t), 0);
	while (!box.inside)
		sched_yield();
	assert_int_equal(sdk_totals_ask(t, &key, &count_anew, &s), PM_AGAIN);
	box.slow = false;
	assert_int_equal(pthread_join(hangs, NULL), 0);
	box.n = 1;
	assert_int_equal(ask(t).count, 1);
	assert_int_equal(ask(t).count, 1);
	assert_int_equal(begun, 2);
	assert_int_equal(freed, begun);
	sdk_totals_free(t);
}

/* More mailboxes than can be remembered: the oldest are forgotten, except one that is in use. */
static void
many_mailboxes(void **state)
{
	struct sdk_totals *t = sdk_totals_new(&host, work_free);
	struct pm_stat s = {.size = sizeof(s)};
	struct sdk_total *held;

	(void)state;
	(void)ask(t);
	held = sdk_totals_hold(t, &key, "0");
	for (uint64_t k = 0; k < MOST; k++)
		assert_int_equal(sdk_totals_ask(t, &(struct sdk_box){{9, k}}, &count, &s), PM_OK);
	sdk_totals_release(t, held, NULL, NULL, 0);
	begun = 0;
	(void)ask(t);
	assert_int_equal(begun, 0);
	assert_int_equal(sdk_totals_ask(t, &(struct sdk_box){{9, 0}}, &count, &s), PM_OK);
	assert_int_equal(begun, 1);
	sdk_totals_free(t);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counted_once),
		TEST(counted_again_at_rest),
		TEST(the_busy_ones_are_remembered),
		TEST(a_delivery_that_failed_changes_nothing),
		TEST(wanted_anew),
		TEST(counted_in_slices),
		TEST(strangers_beside_a_count),
		TEST(a_count_that_fails),
		TEST(a_count_left_alone),
		TEST(anew_beside_a_count),
		TEST(deliveries_beside_a_count),
		TEST(no_count_begins_beside_a_delivery),
		TEST(a_crowd_beside_a_total),
		TEST(a_crowd_beside_a_count),
		TEST(a_slice_that_hangs),
		TEST(anew_beside_a_slice),
		TEST(many_mailboxes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
