/* SPDX-License-Identifier: Apache-2.0 */
/* Time and failures, for all drivers. */
#include "driver.h"

#include <stdarg.h>
#include <stdio.h>

int64_t
driver_left_ms(struct sql_until u)
{
	int64_t left = u.ms - u.host->now_ms(u.host->ctx);

	return left > 0 ? left : 0;
}

int32_t
driver_failed(struct sql_fail *f, int32_t rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	for (char *p = f->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return rc;
}
