/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* Written by tests before threads start; relaxed is enough. */
static _Atomic(int64_t (*)(void)) replaced;

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for these clocks */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
mono_ms(void)
{
	int64_t (*fn)(void) = atomic_load_explicit(&replaced, memory_order_relaxed);

	return fn ? fn() : read_ms(CLOCK_MONOTONIC);
}

int64_t
wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

void
clock_replace(int64_t (*mono)(void))
{
	atomic_store_explicit(&replaced, mono, memory_order_relaxed);
}
