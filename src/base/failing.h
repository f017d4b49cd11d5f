/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failing - which lines are worth logging about work that is done again and again, and may fail
 * each time: that it fails, that it still does, now and then, and that it works again. One that
 * comes and goes is told once a minute. Threads: one at a time for each record.
 */
#ifndef RST_BASE_FAILING_H
#define RST_BASE_FAILING_H

#include <stdbool.h>
#include <stdint.h>

struct failing {
	uint64_t n;      /* failures in a row; 0: it works */
	int64_t told_ms; /* when a failure was told last; 0: never */
	bool told;       /* the failure that lasts was told */
};

enum failing_line {
	FAILING_QUIET,
	FAILING_BEGINS,
	FAILING_STILL, /* f->n times in a row */
	FAILING_OVER,  /* after *ret_n times */
};

/* One more turn, at that time by mono_ms. */
enum failing_line failing_turn(struct failing *f, bool ok, int64_t now_ms, uint64_t *ret_n);

#endif
