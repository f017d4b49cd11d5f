/* SPDX-License-Identifier: Apache-2.0 */
/* gate_impl - a gate's fields, for gate.c (its life), gates.c (the list) and gate_status.c. */
#ifndef RST_WORK_GATE_IMPL_H
#define RST_WORK_GATE_IMPL_H

#include <pthread.h>

#include "work/breaker.h"
#include "work/gate.h"
#include "work/line.h"

#define CLASSES 3 /* enum call_class */

struct gate {
	struct gate *next; /* never changes */
	char name[GATE_NAME_MAX];
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct gate_limits limits;
	uint32_t in_use;
	struct line lines[CLASSES];
	struct breaker breaker;
	uint64_t calls, refused, timeouts, failures, overdue, busy_ms, slowest_ms;
	uint64_t took[GATE_BUCKETS + 1];
};

#endif
