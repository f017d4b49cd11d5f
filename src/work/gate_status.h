/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_status - a gate's numbers, for operators. Threads: any; its mutex is held while they are
 * copied.
 */
#ifndef RST_WORK_GATE_STATUS_H
#define RST_WORK_GATE_STATUS_H

#include <stdint.h>

#include "work/gate.h"

struct gate_status {
	char name[GATE_NAME_MAX];
	struct gate_limits limits;
	uint32_t in_use;
	uint32_t waiting[3]; /* by enum call_class */
	char breaker[10];    /* "closed" "open" "half-open" */
	int64_t open_until_ms;
	uint64_t calls, refused, timeouts, failures, trips, overdue;
	uint64_t busy_ms; /* sum of durations under a permit */
	/* turns by duration: up to gate_bucket_ms[i], and longer */
	uint64_t took[GATE_BUCKETS + 1];
	uint64_t slowest_ms;
};

void gate_status_get(const struct gate *g, struct gate_status *ret);
/* Calls fn for every gate. */
void gate_status_each(void (*fn)(const struct gate_status *s, void *ctx), void *ctx);

#endif
