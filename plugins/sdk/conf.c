/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pm_str
sdk_str(const char *s)
{
	return (struct pm_str){s, s ? strlen(s) : 0};
}

bool
sdk_str_is(struct pm_str a, const char *s)
{
	return a.n == strlen(s) && (a.n == 0 || memcmp(a.p, s, a.n) == 0);
}

char *
sdk_strdup(struct pm_str a)
{
	char *copy = malloc(a.n + 1);

	if (!copy)
		return NULL;
	if (a.n > 0)
		memcpy(copy, a.p, a.n);
	copy[a.n] = '\0';
	return copy;
}

struct pm_str
sdk_call_dup(const struct pm_call *call, const char *p, size_t n)
{
	char *copy = call->alloc(call, n + 1);

	if (!copy)
		return (struct pm_str){NULL, 0};
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return (struct pm_str){copy, n};
}

const struct pm_value *
sdk_opt(const struct pm_open *open, const char *key, uint32_t i)
{
	const char *at = (const char *)open->options;

	for (uint32_t k = 0; k < open->n_options; k++, at += open->option_stride) {
		const struct pm_value *v = (const struct pm_value *)(const void *)at;

		if (sdk_str_is(v->key, key) && i-- == 0)
			return v;
	}
	return NULL;
}

struct pm_str
sdk_opt_str(const struct pm_open *open, const char *key)
{
	const struct pm_value *v = sdk_opt(open, key, 0);

	return v ? v->str : (struct pm_str){NULL, 0};
}

int64_t
sdk_opt_num(const struct pm_open *open, const char *key, int64_t dflt)
{
	const struct pm_value *v = sdk_opt(open, key, 0);

	return v ? v->num : dflt;
}

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
conf_squeezed(char *buf, size_t n)
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
	call->error(call, conf_squeezed(buf, text_of(buf, sizeof(buf), fmt, ap).n));
	va_end(ap);
}

int64_t
sdk_left_ms(const struct pm_host *host, const struct pm_call *call)
{
	int64_t left = call->deadline_ms - host->now_ms(host->ctx);

	return left > 0 ? left : 0;
}
