/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line for a person, with fields for a program.
 *
 * A line is an event word, fields, and perhaps a text. It is put into a bounded ring and written by
 * the log thread (log/logger.c); before that thread runs, and in the tools, it goes to standard
 * error at once. A full ring drops debug and info text first, since audit lines (log_audit) have
 * room of their own; dropped lines are counted, and the count is logged.
 *
 * Text form:  2026-11-23T18:00:00.123Z notice login user=ann peer=127.0.0.1:4711 tls=TLSv1.3
 * Bytes from outside are escaped and cut when they are added; a secret must never be added.
 *
 * Threads: any; a struct log_line belongs to the caller. Never blocks on the sink.
 */
#ifndef RST_BASE_LOG_H
#define RST_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of syslog. */
#define LOG_LVL_ERROR 3
#define LOG_LVL_WARNING 4
#define LOG_LVL_NOTICE 5
#define LOG_LVL_INFO 6
#define LOG_LVL_DEBUG 7

#define LOG_LINE_MAX 2048

struct log_line {
	uint8_t level;
	bool audit;
	uint16_t n;             /* bytes used in buf */
	char buf[LOG_LINE_MAX]; /* records: key NUL type value NUL, see log.c */
};

/* Lines above this level are not made. Default LOG_LVL_INFO. */
void log_set_level(int level);
bool log_wanted(int level);

/* event: a lower-case word, static. */
void log_begin(struct log_line *l, int level, const char *event);
void log_audit(struct log_line *l, const char *event); /* notice level, never dropped first */
void log_str(struct log_line *l, const char *key, const char *p, size_t n);
void log_cstr(struct log_line *l, const char *key, const char *s); /* NULL: no field */
void log_num(struct log_line *l, const char *key, uint64_t v);
void log_textf(struct log_line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_end(struct log_line *l);

/* A line with event and text only: the common case. */
void log_msg(int level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Repeated failures: the first is logged, the next are counted, and one line a minute reports how
 * many. One static struct per place or per object; zeroed at first.
 */
struct log_rate {
	_Atomic int64_t next_ms;
	_Atomic uint64_t held_back;
};
/* True: log it now; *ret_held lines were held back since the last one. */
bool log_rate_pass(struct log_rate *r, uint64_t *ret_held);

/* Escapes control characters, quotes and invalid bytes as \xHH; cuts to cap - 1; returns dst. */
const char *log_escape(char *dst, size_t cap, const char *p, size_t n);

/*
 * The sink. A finished line is handed over as text or JSON, without line end. NULL: standard error.
 * Called by log_end() in the caller's thread; the log thread's sink only appends to its ring.
 */
typedef void log_sink_fn(const struct log_line *l, int64_t wall_ms);
void log_set_sink(log_sink_fn *sink);

/* Renders a line; returns the length (cut to cap - 1). */
size_t log_render_text(const struct log_line *l, int64_t wall_ms, char *dst, size_t cap);
size_t log_render_json(const struct log_line *l, int64_t wall_ms, char *dst, size_t cap);

#endif
