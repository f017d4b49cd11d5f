/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is kept as records until it is rendered: key, NUL, 's' or 'n' or 't', value, NUL. Values
 * are escaped when they are added, so no NUL and no control byte is in them. base must not need a
 * JSON library: the few lines of escaping here are all the JSON that is written on the hot path.
 */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

#define VALUE_MAX 400 /* escaped bytes of one value */
#define RATE_MS 60000
#define STDERR_WAIT_MS 1000

static _Atomic int max_level = LOG_LVL_INFO;
static _Atomic(log_sink_fn *) the_sink;

void
log_set_level(int level)
{
	atomic_store_explicit(&max_level, level, memory_order_relaxed); /* a line more or less */
}

bool
log_wanted(int level)
{
	return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void
log_set_sink(log_sink_fn *sink)
{
	atomic_store(&the_sink, sink);
}

/* ---- building -------------------------------------------------------------------------------- */

/* Does it begin a new line (U+2028, U+2029), or change the order in which what follows is shown? A
 * name with such a mark could make a line of the log look like another. p: three octets of UTF-8,
 * or two. */
static bool
moves_text(const unsigned char *p, size_t len)
{
	unsigned u = len == 2 ? (p[0] & 31u) << 6 | (p[1] & 63u)
			      : (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);

	return u == 0x61c || u == 0x200e || u == 0x200f || (u >= 0x2028 && u <= 0x202e) ||
	       (u >= 0x2066 && u <= 0x2069);
}

/* Length of the valid UTF-8 sequence at p, 0 if there is none, or none that may be shown. */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80                   ? 1
		     : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		     : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						   : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	if (p[0] == 0xc2 && p[1] < 0xa0)
		return 0; /* C1: a terminal may obey it */
	if ((len == 2 || len == 3) && moves_text(p, len))
		return 0;
	return len;
}

const char *
log_escape(char *dst, size_t cap, const char *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *in = (const unsigned char *)p;
	size_t out = 0;

	for (size_t i = 0; i < n;) {
		size_t len = utf8_length(in + i, n - i);
		bool plain = len > 1 || (len == 1 && in[i] >= 0x20 && in[i] != 0x7f &&
					 in[i] != '"' && in[i] != '\\');

		if (out + (plain ? len : 4) >= cap)
			break;
		if (plain) {
			memcpy(dst + out, in + i, len);
			out += len;
			i += len;
		} else {
			dst[out++] = '\\';
			dst[out++] = 'x';
			dst[out++] = hex[in[i] >> 4];
			dst[out++] = hex[in[i] & 15];
			i++;
		}
	}
	dst[out] = '\0';
	return dst;
}

static void
add_record(struct log_line *l, const char *key, char type, const char *value)
{
	size_t k = strlen(key), v = strlen(value);

	if (l->n + k + v + 3 > sizeof(l->buf))
		return; /* a line has its limit: what came first is what matters */
	memcpy(l->buf + l->n, key, k + 1);
	l->buf[l->n + k + 1] = type;
	memcpy(l->buf + l->n + k + 2, value, v + 1);
	l->n = (uint16_t)(l->n + k + v + 3);
}

void
log_begin(struct log_line *l, int level, const char *event)
{
	l->level = (uint8_t)level;
	l->audit = false;
	l->n = 0;
	add_record(l, "event", 's', event);
}

void
log_audit(struct log_line *l, const char *event)
{
	log_begin(l, LOG_LVL_NOTICE, event);
	l->audit = true;
}

void
log_str(struct log_line *l, const char *key, const char *p, size_t n)
{
	char value[VALUE_MAX];

	add_record(l, key, 's', log_escape(value, sizeof(value), p, n));
}

void
log_cstr(struct log_line *l, const char *key, const char *s)
{
	if (s)
		log_str(l, key, s, strlen(s));
}

void
log_num(struct log_line *l, const char *key, uint64_t v)
{
	char digits[21];

	digits[num_format(digits, v)] = '\0';
	add_record(l, key, 'n', digits);
}

static void __attribute__((format(printf, 2, 0)))
add_text(struct log_line *l, const char *fmt, va_list ap)
{
	char raw[1024], value[1200];
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(raw))
		n = sizeof(raw) - 1;
	/* quotes and backslashes are welcome in a text: only what is not printable is escaped */
	size_t out = 0;

	for (int i = 0; i < n && out + 5 < sizeof(value);) {
		size_t len = utf8_length((unsigned char *)raw + i, (size_t)(n - i));

		if (len > 1 || (len == 1 && (unsigned char)raw[i] >= 0x20 && raw[i] != 0x7f)) {
			memcpy(value + out, raw + i, len);
			out += len;
			i += (int)len;
		} else {
			log_escape(value + out, sizeof(value) - out, raw + i, 1);
			out += strlen(value + out);
			i++;
		}
	}
	value[out] = '\0';
	add_record(l, "text", 't', value);
}

void
log_textf(struct log_line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(l, fmt, ap);
	va_end(ap);
}

static void
sink_stderr(const struct log_line *l, int64_t at_ms)
{
	char text[LOG_LINE_MAX + 128];
	size_t n = log_render_text(l, at_ms, text, sizeof(text) - 1);
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	text[n++] = '\n';
	/* a pipe that nobody reads must not keep the process from its end: the line is lost */
	if (poll(&p, 1, STDERR_WAIT_MS) != 0 && write(STDERR_FILENO, text, n) < 0)
		return; /* nowhere left to say it */
}

void
log_end(struct log_line *l)
{
	log_sink_fn *sink = atomic_load(&the_sink);

	if (log_wanted(l->level))
		(sink ? sink : sink_stderr)(l, wall_ms());
}

void
log_msg(int level, const char *event, const char *fmt, ...)
{
	struct log_line l;
	va_list ap;

	if (!log_wanted(level))
		return;
	log_begin(&l, level, event);
	va_start(ap, fmt);
	add_text(&l, fmt, ap);
	va_end(ap);
	log_end(&l);
}

bool
log_rate_pass(struct log_rate *r, uint64_t *ret_held)
{
	int64_t now = mono_ms(), next = atomic_load_explicit(&r->next_ms, memory_order_relaxed);

	/* who wins the exchange speaks; an error of one in the count is nobody's harm */
	if (now < next || !atomic_compare_exchange_strong(&r->next_ms, &next, now + RATE_MS)) {
		atomic_fetch_add_explicit(&r->held_back, 1, memory_order_relaxed);
		return false;
	}
	*ret_held = atomic_exchange_explicit(&r->held_back, 0, memory_order_relaxed);
	return true;
}

/* ---- rendering ------------------------------------------------------------------------------- */

struct out {
	char *p;
	size_t n, cap; /* cap: without the final NUL */
};

static void
log_put(struct out *o, const char *s, size_t n)
{
	if (n > o->cap - o->n)
		n = o->cap - o->n;
	memcpy(o->p + o->n, s, n);
	o->n += n;
}

static void
put_str(struct out *o, const char *s)
{
	log_put(o, s, strlen(s));
}

static const char *
level_name(int level)
{
	switch (level) {
	case LOG_LVL_ERROR:
		return "error";
	case LOG_LVL_WARNING:
		return "warning";
	case LOG_LVL_NOTICE:
		return "notice";
	case LOG_LVL_INFO:
		return "info";
	default:
		return "debug";
	}
}

static void
log_put_time(struct out *o, int64_t at_ms)
{
	time_t t = (time_t)(at_ms / 1000);
	struct tm tm;
	char text[80];

	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(at_ms % 1000));
	put_str(o, text);
}

/* The next record; false at the end. */
static bool
next_record(const struct log_line *l, size_t *at, const char **key, char *type, const char **value)
{
	if (*at >= l->n)
		return false;
	*key = l->buf + *at;
	*type = (*key)[strlen(*key) + 1];
	*value = *key + strlen(*key) + 2;
	*at = (size_t)(*value - l->buf) + strlen(*value) + 1;
	return true;
}

size_t
log_render_text(const struct log_line *l, int64_t at_ms, char *dst, size_t cap)
{
	struct out o = {dst, 0, cap - 1};
	const char *key, *value;
	size_t at = 0;
	char type;

	log_put_time(&o, at_ms);
	put_str(&o, " ");
	put_str(&o, level_name(l->level));
	while (next_record(l, &at, &key, &type, &value)) {
		put_str(&o, " ");
		if (type == 't') {
			put_str(&o, value);
			continue;
		}
		if (strcmp(key, "event") != 0) {
			put_str(&o, key);
			put_str(&o, "=");
		}
		bool quote = type == 's' && (!*value || strpbrk(value, " ="));

		put_str(&o, quote ? "\"" : "");
		put_str(&o, value);
		put_str(&o, quote ? "\"" : "");
	}
	dst[o.n] = '\0';
	return o.n;
}

/* Values hold no control bytes and are valid UTF-8: only quote and backslash are left. */
static void
put_json_string(struct out *o, const char *s)
{
	put_str(o, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			put_str(o, "\\");
		log_put(o, s, 1);
	}
	put_str(o, "\"");
}

size_t
log_render_json(const struct log_line *l, int64_t at_ms, char *dst, size_t cap)
{
	struct out o = {dst, 0, cap - 2}; /* the last brace always fits */
	const char *key, *value;
	size_t at = 0;
	char type;

	put_str(&o, "{\"time\":\"");
	log_put_time(&o, at_ms);
	put_str(&o, "\",\"level\":\"");
	put_str(&o, level_name(l->level));
	put_str(&o, "\"");
	while (next_record(l, &at, &key, &type, &value)) {
		size_t before = o.n;

		put_str(&o, ",\"");
		put_str(&o, key);
		put_str(&o, "\":");
		if (type == 'n')
			put_str(&o, value);
		else
			put_json_string(&o, value);
		if (o.n == o.cap) {
			o.n = before; /* a record that was cut would not be JSON */
			break;
		}
	}
	dst[o.n++] = '}';
	dst[o.n] = '\0';
	return o.n;
}
