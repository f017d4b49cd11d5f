/* SPDX-License-Identifier: Apache-2.0 */
/* say - texts and counts for the host: its log, its reports, the error of a call. */
#ifndef SDK_SAY_H
#define SDK_SAY_H

#include <stdint.h>

#include <restante/module.h>

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

#endif
