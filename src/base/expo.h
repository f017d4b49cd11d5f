/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expo - numbers as text for Prometheus (text exposition, format 0.0.4). Pure but for memory.
 *
 *	expo_family(e, "restante_logins_total", EXPO_COUNTER, "Logins by result.");
 *	expo_label(e, "result", "accepted");
 *	expo_count(e, 5);
 *
 * A family is begun once, all its samples follow; labels are written before the value they belong
 *to. Names are the caller's literals and have to be right; values of labels may be anything.
 *
 * Threads: one owner.
 */
#ifndef RST_BASE_EXPO_H
#define RST_BASE_EXPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPO_MAX (4u << 20) /* bytes of one text; sections and volumes are few */

enum expo_type { EXPO_COUNTER, EXPO_GAUGE, EXPO_HISTOGRAM };

struct expo {
	char *text; /* n bytes, terminated by expo_take() */
	size_t n, cap;
	const char *family; /* static */
	bool labelled;      /* the sample under way has labels */
	bool begun;         /* ... its name is written */
	bool failed;        /* no memory, or more than EXPO_MAX: the text must not be used */
};

/* One static initialiser is enough: struct expo e = {0}. */
void expo_fini(struct expo *e);
/* The text, malloc'd, *ret_n bytes and a NUL; NULL: failed. Afterwards only expo_fini. */
char *expo_take(struct expo *e, size_t *ret_n);

/* HELP and TYPE lines; name stays the caller's (static). A counter's name ends in _total. */
void expo_family(struct expo *e, const char *name, enum expo_type type, const char *help);
/* _bucket, _sum, _count of a histogram: before the labels of a sample. */
void expo_part(struct expo *e, const char *suffix);
/* Backslash, quote and line feed are escaped; other control characters and octets that are not
 * UTF-8 become '?'. */
void expo_label(struct expo *e, const char *key, const char *value);
/* The value ends the sample. */
void expo_count(struct expo *e, uint64_t v);
void expo_seconds(struct expo *e, int64_t us); /* microseconds, written as seconds */

#endif
