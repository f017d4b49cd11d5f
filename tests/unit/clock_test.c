/* SPDX-License-Identifier: Apache-2.0 */
/* When is the wall clock believed: one that goes back, jumps ahead, begins in 1970, stands in 2039,
 * within one boot of the machine and over several. */
#include "clock_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock_note.c"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define T2026 INT64_C(1780000000000)
#define T2039 INT64_C(2180000000000)
#define LOOK INT64_C(60000)

/* ---- the judgement, without a disk ----------------------------------------------------------- */

/* A machine with its clocks. */
struct machine {
	struct clock_note note;
	struct clock_look now;
};

static struct machine
machine_of(int64_t wall)
{
	struct machine m = {.now = {.boot = 1, .boot_ms = HOUR, .wall_ms = wall}};

	m.note.seen = m.now;
	assert_int_equal(clock_note_step(&m.note, &m.now), CLOCK_AS_IT_WAS);
	return m;
}

static enum clock_change
passes(struct machine *m, int64_t ms, int64_t wall_off)
{
	m->now.boot_ms += ms;
	m->now.wall_ms += ms + wall_off;
	return clock_note_step(&m->note, &m->now);
}

static enum clock_change
reboots(struct machine *m, int64_t wall_off)
{
	m->now.boot++;
	m->now.boot_ms = LOOK;
	m->now.wall_ms += wall_off;
	return clock_note_step(&m->note, &m->now);
}

/* How long until it is believed again, a look a minute? -1: for longer than three days. */
static int64_t
until_believed(struct machine *m)
{
	for (int64_t ms = 0; ms < 3 * DAY; ms += LOOK) {
		if (!m->note.doubtful)
			return ms;
		(void)passes(m, LOOK, 0);
	}
	return -1;
}

static void
a_clock_that_runs_is_believed(void **state)
{
	struct machine m = machine_of(T2026);

	(void)state;
	assert_int_equal(passes(&m, LOOK, 0), CLOCK_AS_IT_WAS);
	assert_int_equal(passes(&m, 40 * DAY, 0), CLOCK_AS_IT_WAS); /* it slept */
	assert_int_equal(passes(&m, LOOK, CLOCK_STEP_MS / 2), CLOCK_AS_IT_WAS);
	assert_int_equal(passes(&m, LOOK, -CLOCK_STEP_MS / 2), CLOCK_AS_IT_WAS);
	assert_int_equal(reboots(&m, LOOK), CLOCK_AS_IT_WAS);
	assert_int_equal(reboots(&m, DAY), CLOCK_AS_IT_WAS); /* it was off for a day */
	assert_false(m.note.doubtful);
}

static void
a_jump_is_doubted_until_it_is_undone(void **state)
{
	static const int64_t jumps[] = {T2039 - T2026, -T2026, 2 * CLOCK_STEP_MS,
					-2 * CLOCK_STEP_MS, 40 * DAY};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(jumps) / sizeof(jumps[0]); i++) {
		int64_t jump = jumps[i / 2];
		struct machine m = machine_of(T2026);

		if (i % 2 == 1 && jump > 0 && jump < DAY) {
			assert_int_equal(reboots(&m, jump), CLOCK_AS_IT_WAS); /* it was off */
			continue;
		}
		assert_int_equal(i % 2 ? reboots(&m, jump) : passes(&m, LOOK, jump),
				 CLOCK_DOUBT_BEGAN);
		assert_int_equal(passes(&m, LOOK, 0), CLOCK_AS_IT_WAS);
		assert_int_equal(passes(&m, LOOK, -jump), CLOCK_RIGHT_AGAIN);
		assert_false(m.note.doubtful);
	}
}

/* Also when what was noted was wrong: nothing stops expiry for ever. */
static void
a_steady_clock_heals_in_a_day(void **state)
{
	static const int64_t from[] = {T2026, T2039, 1, T2026}, to[] = {T2039, T2026, T2026, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		struct machine m = machine_of(from[i]);
		int64_t took;

		assert_int_equal(reboots(&m, to[i] - from[i]), CLOCK_DOUBT_BEGAN);
		took = until_believed(&m);
		assert_true(took >= CLOCK_STEADY_MS && took <= CLOCK_STEADY_MS + 2 * LOOK);
	}
}

static void
an_unsteady_clock_does_not(void **state)
{
	struct machine m = machine_of(T2026);

	(void)state;
	(void)passes(&m, LOOK, 40 * DAY);
	for (int k = 0; k < 10; k++) {
		(void)passes(&m, 20 * HOUR, 0);
		(void)passes(&m, LOOK, 2 * CLOCK_STEP_MS);
		assert_true(m.note.doubtful);
		assert_int_equal(m.note.steady_ms, 0);
	}
}

/* A machine that is off every night heals, too. */
static void
steadiness_outlives_reboots(void **state)
{
	struct machine m = machine_of(T2039);
	int days = 0;

	(void)state;
	(void)passes(&m, LOOK, T2026 - T2039);
	while (m.note.doubtful && days < 10) {
		for (int64_t ms = 0; ms < 8 * HOUR; ms += LOOK)
			(void)passes(&m, LOOK, 0);
		(void)reboots(&m, 16 * HOUR);
		days++;
	}
	assert_true(days >= 3 && days <= 4);
}

/* ---- with its page --------------------------------------------------------------------------- */

static char dir[64];
static int64_t wall, boot, mono = 1000;

static int64_t
wall_now(void)
{
	return wall;
}

static int64_t
boot_now(void)
{
	return boot;
}

static int64_t
mono_now(void)
{
	return mono;
}

static void
time_passes(int64_t ms)
{
	wall += ms;
	boot += ms;
	mono += ms;
}

static void
a_day_passes(void)
{
	for (int64_t ms = 0; ms <= CLOCK_STEADY_MS; ms += LOOK) {
		time_passes(LOOK);
		clock_note_look(dir);
	}
}

static int
begin(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/rst-clock.XXXXXX");
	assert_non_null(mkdtemp(dir));
	wall = T2026;
	boot = HOUR;
	atomic_store(&wall_of_test, wall_now);
	atomic_store(&boot_of_test, boot_now);
	clock_replace(mono_now);
	return 0;
}

static int
end(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
nobody_has_looked_yet(void **state)
{
	(void)state;
	assert_int_equal(clock_expire_ms(), 0);
	assert_int_equal(clock_mark_ms(), T2026);
}

static void
nothing_goes_by_a_clock_in_doubt(void **state)
{
	struct clock_state s;

	(void)state;
	clock_note_look(dir);
	assert_int_equal(clock_expire_ms(), T2026);
	time_passes(LOOK);
	wall = T2039;
	assert_int_equal(clock_expire_ms(), 0); /* at once, before the next look */
	assert_int_equal(clock_mark_ms(), T2026 + LOOK);
	clock_note_look(dir);
	time_passes(2 * HOUR);
	clock_note_look(dir);
	assert_int_equal(clock_expire_ms(), 0);
	assert_int_equal(clock_mark_ms(), T2026 + LOOK + 2 * HOUR); /* its own time goes on */
	clock_note_state(&s);
	assert_true(s.doubtful);
	assert_int_equal(s.steady_ms, 2 * HOUR);
	a_day_passes();
	assert_true(wall > T2039);
	assert_int_equal(clock_expire_ms(), wall);
	assert_int_equal(clock_mark_ms(), wall);
}

static void
an_operator_may_accept_it(void **state)
{
	char text[200];

	(void)state;
	clock_note_look(dir);
	wall = 0;
	clock_note_look(dir);
	assert_int_equal(clock_expire_ms(), 0);
	assert_true(clock_mark_ms() >= T2026);
	wall = T2026 - 100 * DAY;
	assert_true(clock_note_accept(dir, text, sizeof(text)));
	assert_int_equal(clock_expire_ms(), wall);
	clock_note_look(dir);
	assert_int_equal(clock_expire_ms(), wall);
}

static void
a_page_that_cannot_be_used(void **state)
{
	char path[100], text[200];

	(void)state;
	clock_note_look(dir);
	snprintf(path, sizeof(path), "%s/clock", dir);
	assert_int_equal(truncate(path, 20), 0); /* torn: the clock may be wrong as well */
	clock_note_look(dir);
	assert_int_equal(clock_expire_ms(), 0);
	clock_note_look("/nonexistent");
	assert_int_equal(clock_expire_ms(), 0);
	assert_false(clock_note_accept("/nonexistent", text, sizeof(text)));
	assert_non_null(strstr(text, "No such file"));
	a_day_passes();
	assert_int_equal(clock_expire_ms(), wall);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_runs_is_believed),
		cmocka_unit_test(a_jump_is_doubted_until_it_is_undone),
		cmocka_unit_test(a_steady_clock_heals_in_a_day),
		cmocka_unit_test(an_unsteady_clock_does_not),
		cmocka_unit_test(steadiness_outlives_reboots),
		cmocka_unit_test_setup_teardown(nobody_has_looked_yet, begin, end),
		cmocka_unit_test_setup_teardown(nothing_goes_by_a_clock_in_doubt, begin, end),
		cmocka_unit_test_setup_teardown(an_operator_may_accept_it, begin, end),
		cmocka_unit_test_setup_teardown(a_page_that_cannot_be_used, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
