/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics - the server's numbers as text for Prometheus, the same for GET /metrics (http.h) and
 * restantectl metrics.
 *
 * Everything is read from memory: counters, statuses under their short locks, the table of slots.
 * No module, disk or network is asked, so it takes a millisecond however slow those are. Labels
 * are the names of sections and volumes and fixed words: never users or addresses.
 */
#ifndef RST_ADMIN_METRICS_H
#define RST_ADMIN_METRICS_H

#include <stddef.h>

#include "base/expo.h"
#include "conf/conf.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Main, before admin_start: families from above this folder. fn: admin thread; must not block. */
void metrics_add_source(void (*fn)(struct expo *e, const struct conf *c));

/* Admin thread: malloc'd, *ret_n bytes; NULL: no memory. */
char *metrics_text(size_t *ret_n);

#endif
