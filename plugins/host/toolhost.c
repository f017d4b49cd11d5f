/* SPDX-License-Identifier: Apache-2.0 */
#include "toolhost.h"

#include <time.h>

static int64_t
clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
toolhost_now_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t
toolhost_wall_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(CLOCK_REALTIME);
}

void
toolhost_count(void *ctx, struct pm_str name, int64_t delta)
{
	(void)ctx;
	(void)name;
	(void)delta;
}

void
toolhost_invalidate(void *ctx, struct pm_str name)
{
	(void)ctx;
	(void)name;
}

int32_t
toolhost_reserve_release(void *ctx, struct pm_str path)
{
	(void)ctx;
	(void)path;
	return PM_UNSUPPORTED;
}
