/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_gates - the metrics of gates, credential caches, calls under way, and the counters of
 * modules. Admin thread. */
#ifndef RST_ADMIN_METRICS_GATES_H
#define RST_ADMIN_METRICS_GATES_H

#include "base/expo.h"
#include "conf/conf.h"

void metrics_gates(struct expo *e, const struct conf *c);

#endif
