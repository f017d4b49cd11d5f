/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

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
	return read_ms(CLOCK_MONOTONIC);
}

int64_t
boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t
wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}
