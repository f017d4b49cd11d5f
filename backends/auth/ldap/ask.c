/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <stdarg.h>
#include <stdio.h>

#include "conf.h"

int64_t
ask_left(const struct ask *a)
{
	int64_t left = a->until_ms - a->inst->host->now_ms(a->inst->host->ctx);

	return left > 0 ? left : 0;
}

struct ask
ask_within(const struct ask *a, int64_t ms)
{
	struct ask mine = *a;
	int64_t until_ms = a->inst->host->now_ms(a->inst->host->ctx) + ms;

	if (until_ms < mine.until_ms)
		mine.until_ms = until_ms;
	return mine;
}

void
ask_error(const struct ask *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->why, PM_ERROR_MAX + 1, fmt, ap);
	va_end(ap);
	a->call->error(a->call, sdk_str(a->why));
}
