/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_stats - restantectl badmail stats: totals, and sums by reason and by sender's domain. */
#ifndef RST_CTL_BADMAIL_STATS_H
#define RST_CTL_BADMAIL_STATS_H

#include <jansson.h>

#include "ctl/options.h"

/* question: with the filters. The exit code. */
int badmail_stats(const struct ctl *c, json_t *question);

#endif
