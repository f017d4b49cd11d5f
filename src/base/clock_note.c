/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock_note.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/statefile.h"

#define CLOCK_MAGIC "rstclock"
#define CLOCK_DAY_MS INT64_C(86400000)
#define CLOCK_PATH_MAX 4200

/* A look at both clocks. */
struct clock_look {
	uint64_t boot;   /* which boot of the machine: statefile_boot */
	int64_t boot_ms; /* since then */
	int64_t wall_ms;
};

/* The page. */
struct clock_note {
	struct statefile_head head;
	struct clock_look seen;     /* the last look */
	struct clock_look believed; /* while in doubt: the last look that was believed */
	int64_t steady_ms;          /* while in doubt: how long the clock has been steady */
	uint32_t doubtful;
	uint32_t pad;
};

enum clock_change {
	CLOCK_AS_IT_WAS,
	CLOCK_DOUBT_BEGAN,
	CLOCK_RIGHT_AGAIN, /* it is where it was expected */
	CLOCK_HEALED,      /* it was steady for long enough */
};

/* For the threads. */
static struct {
	_Atomic bool believed;     /* someone has looked, and there was no doubt */
	_Atomic bool known;        /* someone has looked */
	_Atomic int64_t offset_ms; /* of the believed wall clock from CLOCK_BOOTTIME */
	_Atomic int64_t steady_ms;
	int64_t told_ms; /* the looker's: when a doubt was logged last */
} note;

/* ---- the judgement --------------------------------------------------------------------------- */

/* Is the clock where an earlier look leads to expect it? */
static bool
clock_fits(const struct clock_look *then, const struct clock_look *now)
{
	int64_t passed = now->wall_ms - then->wall_ms;

	if (statefile_same_boot(then->boot, now->boot)) {
		int64_t off = passed - (now->boot_ms - then->boot_ms);

		return off >= -CLOCK_STEP_MS && off <= CLOCK_STEP_MS;
	}
	return passed >= -CLOCK_STEP_MS && passed <= now->boot_ms + CLOCK_AWAY_MS;
}

static enum clock_change
clock_trust(struct clock_note *n, const struct clock_look *now, enum clock_change how)
{
	n->seen = n->believed = *now;
	n->steady_ms = 0;
	n->doubtful = 0;
	return how;
}

/* One more look: changes the note. Pure. */
static enum clock_change
clock_note_step(struct clock_note *n, const struct clock_look *now)
{
	bool fits = clock_fits(&n->seen, now);

	if (!n->doubtful && fits)
		return clock_trust(n, now, CLOCK_AS_IT_WAS);
	if (!n->doubtful) {
		n->believed = n->seen;
		n->seen = *now;
		n->steady_ms = 0;
		n->doubtful = 1;
		return CLOCK_DOUBT_BEGAN;
	}
	if (n->believed.wall_ms != 0 && clock_fits(&n->believed, now))
		return clock_trust(n, now, CLOCK_RIGHT_AGAIN);
	n->steady_ms = !fits                       ? 0
		       : n->seen.boot == now->boot ? n->steady_ms + now->boot_ms - n->seen.boot_ms
						   : n->steady_ms + now->boot_ms;
	n->seen = *now;
	return n->steady_ms >= CLOCK_STEADY_MS ? clock_trust(n, now, CLOCK_HEALED)
					       : CLOCK_AS_IT_WAS;
}

/* ---- the page -------------------------------------------------------------------------------- */

static struct clock_look
clock_now(void)
{
	return (struct clock_look){
		.boot = statefile_boot(), .boot_ms = boot_ms(), .wall_ms = wall_ms()};
}

/* For the threads. A look of another boot goes on with the time since this one began: what passed
 * between them is not known. */
static void
clock_publish(const struct clock_note *n)
{
	const struct clock_look *l = n->believed.wall_ms != 0 ? &n->believed : &n->seen;
	int64_t offset = l->wall_ms - (l->boot == n->seen.boot ? l->boot_ms : 0);

	atomic_store(&note.offset_ms, offset);
	atomic_store(&note.steady_ms, n->steady_ms);
	atomic_store(&note.believed, !n->doubtful);
	atomic_store(&note.known, true);
}

static void
clock_text(int64_t ms, char buf[32])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, 32, "%lld ms", (long long)ms);
}

static void
clock_tell(const struct clock_note *n, enum clock_change change)
{
	char now[32], then[32];

	clock_text(n->seen.wall_ms, now);
	if (change == CLOCK_RIGHT_AGAIN || change == CLOCK_HEALED)
		log_msg(LOG_LVL_NOTICE, "clock", "the wall clock (%s) is believed again: %s", now,
			change == CLOCK_HEALED ? "it was steady for 24 hours"
					       : "it is where it was expected");
	if (!n->doubtful || (change != CLOCK_DOUBT_BEGAN && note.told_ms != 0 &&
			     mono_ms() - note.told_ms < CLOCK_DAY_MS))
		return;
	note.told_ms = mono_ms();
	clock_text(clock_mark_ms(), then);
	log_msg(LOG_LVL_WARNING, "clock",
		"the wall clock shows %s, and about %s was expected: nothing is deleted because of "
		"its age until it is right, or has been steady for 24 hours; if it is right, "
		"restantectl clock accept says so",
		now, then);
}

/* Opened and locked; -1: errno. A page that is damaged says nothing about the clock. */
static int
clock_open(const char *state_dir, struct clock_note *n, const struct clock_look *now)
{
	char path[CLOCK_PATH_MAX];
	enum statefile_found found;
	int fd;

	snprintf(path, sizeof(path), "%s/clock", state_dir);
	fd = statefile_open(path, CLOCK_MAGIC, n, sizeof(*n), &found);
	if (fd == -1 || found == STATEFILE_SOUND)
		return fd;
	n->seen = *now;
	n->doubtful = found == STATEFILE_DAMAGED;
	return fd;
}

static bool
clock_close(int fd, struct clock_note *n)
{
	bool ok = statefile_write(fd, n, sizeof(*n));
	int e = errno;

	statefile_close(fd);
	errno = e;
	return ok;
}

static void
clock_fail(const char *state_dir)
{
	int e = errno;

	atomic_store(&note.believed, false);
	if (note.told_ms != 0 && mono_ms() - note.told_ms < CLOCK_DAY_MS)
		return;
	note.told_ms = mono_ms();
	log_msg(LOG_LVL_WARNING, "clock",
		"%s/clock cannot be used: %s: whether the wall clock is right is not known, and "
		"nothing is deleted because of its age",
		state_dir, strerrordesc_np(e));
}

void
clock_note_look(const char *state_dir)
{
	struct clock_look now = clock_now();
	enum clock_change change;
	struct clock_note n;
	int fd = clock_open(state_dir, &n, &now);

	if (fd == -1) {
		clock_fail(state_dir);
		return;
	}
	change = clock_note_step(&n, &now);
	if (!clock_close(fd, &n)) {
		clock_fail(state_dir);
		return;
	}
	clock_publish(&n);
	clock_tell(&n, change);
}

bool
clock_note_accept(const char *state_dir, char *text, size_t cap)
{
	struct clock_look now = clock_now();
	struct clock_note n;
	int fd = clock_open(state_dir, &n, &now);

	if (fd != -1)
		(void)clock_trust(&n, &now, CLOCK_HEALED);
	if (fd == -1 || !clock_close(fd, &n)) {
		snprintf(text, cap, "%.120s/clock cannot be used: %s", state_dir,
			 strerrordesc_np(errno));
		return false;
	}
	clock_publish(&n);
	return true;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Also between two looks. */
static bool
clock_is_believed(int64_t wall)
{
	int64_t off = wall - boot_ms() - atomic_load(&note.offset_ms);

	return atomic_load(&note.believed) && off >= -CLOCK_STEP_MS && off <= CLOCK_STEP_MS;
}

int64_t
clock_expire_ms(void)
{
	int64_t wall = wall_ms();

	return clock_is_believed(wall) ? wall : 0;
}

int64_t
clock_mark_ms(void)
{
	int64_t wall = wall_ms();

	return !atomic_load(&note.known) || clock_is_believed(wall)
		       ? wall
		       : boot_ms() + atomic_load(&note.offset_ms);
}

void
clock_note_state(struct clock_state *ret)
{
	*ret = (struct clock_state){.wall_ms = wall_ms(),
				    .mark_ms = clock_mark_ms(),
				    .steady_ms = atomic_load(&note.steady_ms)};
	ret->doubtful = !clock_is_believed(ret->wall_ms);
}
