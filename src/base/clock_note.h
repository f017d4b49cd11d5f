/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_note - is the wall clock believed? What is deleted because of its age goes by the wall
 * clock, and one that is wrong for an hour (a dead battery's 1970, a typing error's 2039) would
 * delete what nobody wanted deleted.
 *
 * So the server notes both clocks, wall and CLOCK_BOOTTIME, once a minute in a page of state_dir,
 * and compares. The wall clock is in doubt when it is not where the note leads to one expect it:
 * more than an hour off within one boot of the machine; before the note, or more than a day after
 * it, in a later one. Until it is where it was expected again, or has run steadily for 24 hours
 * (over reboots, too), or an operator accepts it (restantectl clock accept), nothing is deleted by
 * age. So nothing stops expiry for ever.
 *
 * Threads: clock_note_look and _accept one at a time; the rest any.
 */
#ifndef RST_BASE_CLOCK_NOTE_H
#define RST_BASE_CLOCK_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_STEP_MS INT64_C(3600000)    /* what ntpd and drift may do */
#define CLOCK_AWAY_MS INT64_C(86400000)   /* how long a machine may be off, unasked */
#define CLOCK_STEADY_MS INT64_C(86400000) /* heals */

/* Looks at the clocks, by the page of `state_dir`; changes are logged, and a doubt once a day. If
 * the page cannot be read or written, the clock is in doubt. May block on the disk. */
void clock_note_look(const char *state_dir);
/* The operator's word that the clock is right now. False: `text` has why not. May block. */
bool clock_note_accept(const char *state_dir, char *text, size_t cap);

/* UTC by which something may be deleted for its age; 0: nothing may, since the clock is in doubt or
 * nobody has looked yet. */
int64_t clock_expire_ms(void);
/* UTC for what is written down to be compared later: when a message was retrieved, until when it
 * is kept. While the clock is in doubt, the one that was believed goes on. */
int64_t clock_mark_ms(void);

/* For restantectl and metrics. */
struct clock_state {
	bool doubtful;
	int64_t wall_ms, mark_ms;
	int64_t steady_ms; /* in doubt: since when it is steady */
};
void clock_note_state(struct clock_state *ret);

#endif
