/* SPDX-License-Identifier: Apache-2.0 */
/* gates - what a gate is, for gate.c (its life) and gates.c (the list of all; looking at them). */
#ifndef RST_WORK_GATES_H
#define RST_WORK_GATES_H

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

/* The newest gate, then ->next; none is ever removed while the server runs. */
struct gate *gates_first(void);

/* Limits or the global count have changed: lets in who may. */
void gate_resized(struct gate *g);

/* Tests: no gate is left. */
void gate_forget_global(void);

#endif
