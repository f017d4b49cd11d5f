/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failing.h"

#define REMIND_MS INT64_C(3600000)
#define FLUTTER_MS INT64_C(60000)

static enum failing_line
failing_over(struct failing *f, uint64_t *ret_n)
{
	bool told = f->told;

	*ret_n = f->n;
	f->n = 0;
	f->told = false;
	return told ? FAILING_OVER : FAILING_QUIET;
}

enum failing_line
failing_turn(struct failing *f, bool ok, int64_t now_ms, uint64_t *ret_n)
{
	int64_t pause = f->told ? REMIND_MS : FLUTTER_MS;
	bool was_told = f->told;

	if (ok)
		return failing_over(f, ret_n);
	*ret_n = ++f->n;
	if (f->told_ms != 0 && now_ms - f->told_ms < pause)
		return FAILING_QUIET;
	f->told = true;
	f->told_ms = now_ms;
	return was_told ? FAILING_STILL : FAILING_BEGINS;
}
