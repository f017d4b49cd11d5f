/* SPDX-License-Identifier: Apache-2.0 */
/* conf - reading the options an instance was opened with, and small helpers around pm_str. Pure. */
#ifndef SDK_CONF_H
#define SDK_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

/* A string literal or char array as pm_str. */
#define SDK_STR(lit) \
	{ \
		(lit), sizeof(lit) - 1 \
	}

struct pm_str sdk_str(const char *s); /* NULL: empty */
bool sdk_str_is(struct pm_str a, const char *s);
char *sdk_strdup(struct pm_str a); /* malloc'd, NUL-terminated; NULL: no memory */
/* A copy in call->alloc memory, with a NUL after it; p = NULL: no memory. */
struct pm_str sdk_call_dup(const struct pm_call *call, const char *p, size_t n);

/* The i-th value of a key (i > 0 for lists), or NULL. */
const struct pm_value *sdk_opt(const struct pm_open *open, const char *key, uint32_t i);
struct pm_str sdk_opt_str(const struct pm_open *open, const char *key);
int64_t sdk_opt_num(const struct pm_open *open, const char *key, int64_t dflt);

/* printf to the host's log, to the report of check/open, to call->error. A text for call->error
 * that is longer than PM_ERROR_MAX loses its middle, never its end. */
void sdk_log(const struct pm_host *host, int32_t level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void sdk_report(const struct pm_open *open, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void sdk_error(const struct pm_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Counts n more of this event: host->count. */
void sdk_count(const struct pm_host *host, const char *name, uint64_t n);
/* Called in open(): these counters exist from now on, at 0, so that the first event is seen as a
 * growth. NULL ends the list. */
void sdk_counters(const struct pm_host *host, const char *const *names);

/* Milliseconds left until the call's deadline, >= 0. */
int64_t sdk_left_ms(const struct pm_host *host, const struct pm_call *call);

#endif
