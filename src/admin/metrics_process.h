/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_process - the metrics of a process that every client library of Prometheus has, under
 * their usual names. */
#ifndef RST_ADMIN_METRICS_PROCESS_H
#define RST_ADMIN_METRICS_PROCESS_H

#include <stdint.h>

#include "base/expo.h"

/* Main, once, before admin_start: the server begins. */
void metrics_begin(void);
/* Any thread, after that. */
int64_t metrics_uptime_ms(void);
/* Admin thread. */
void metrics_process(struct expo *e);

#endif
