/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"

/* The text of a format, cut to fit. */
static struct pm_str __attribute__((format(printf, 3, 0)))
text_of(char *buf, size_t cap, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, cap, fmt, ap);

	if (n < 0)
		n = 0;
	return (struct pm_str){buf, (size_t)n < cap ? (size_t)n : cap - 1};
}

void
sdk_log(const struct pm_host *host, int32_t level, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	host->log(host->ctx, level, text_of(buf, sizeof(buf), fmt, ap));
	va_end(ap);
}

void
sdk_count(const struct pm_host *host, const char *name, uint64_t n)
{
	host->count(host->ctx, sdk_str(name), (int64_t)n);
}

void
sdk_counters(const struct pm_host *host, const char *const *names)
{
	for (; *names; names++)
		sdk_count(host, *names, 0);
}

void
sdk_report(const struct pm_open *open, const char *key, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	open->report->error(open->report, sdk_str(key), text_of(buf, sizeof(buf), fmt, ap));
	va_end(ap);
}

static bool
inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* A text that is too long loses its middle: the failure is named at its beginning, and the remedy
 * at its end. */
static struct pm_str
say_squeezed(char *buf, size_t n)
{
	size_t head = PM_ERROR_MAX / 2 - 3, tail = PM_ERROR_MAX / 2;

	if (n <= PM_ERROR_MAX)
		return (struct pm_str){buf, n};
	while (head > 0 && inside_character(buf[head]))
		head--;
	while (tail > 0 && inside_character(buf[n - tail]))
		tail--;
	memcpy(buf + head, "...", 3);
	memmove(buf + head + 3, buf + n - tail, tail);
	return (struct pm_str){buf, head + 3 + tail};
}

void
sdk_error(const struct pm_call *call, const char *fmt, ...)
{
	char buf[PM_PATH_MAX + 1024];
	va_list ap;

	va_start(ap, fmt);
	call->error(call, say_squeezed(buf, text_of(buf, sizeof(buf), fmt, ap).n));
	va_end(ap);
}
