/* SPDX-License-Identifier: Apache-2.0 */
/* clock_rig - clocks for tests, in place of the server's: the linker takes these. Included by one
 * file of a program. */
#ifndef TESTS_UNIT_CLOCK_RIG_H
#define TESTS_UNIT_CLOCK_RIG_H

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "base/clock.h"

static _Atomic(int64_t (*)(void)) clock_of_test, wall_of_test, boot_of_test;

static int64_t
clock_real(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
mono_ms(void)
{
	int64_t (*fn)(void) = atomic_load(&clock_of_test);

	return fn ? fn() : clock_real(CLOCK_MONOTONIC);
}

int64_t
boot_ms(void)
{
	int64_t (*fn)(void) = atomic_load(&boot_of_test);

	return fn ? fn() : clock_real(CLOCK_BOOTTIME);
}

int64_t
wall_ms(void)
{
	int64_t (*fn)(void) = atomic_load(&wall_of_test);

	return fn ? fn() : clock_real(CLOCK_REALTIME);
}

/* Another clock for mono_ms; NULL: the real one. */
static void
clock_replace(int64_t (*mono)(void))
{
	atomic_store(&clock_of_test, mono);
}

#endif
