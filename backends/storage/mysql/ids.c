/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, and an order of arrival. */
#include "ids.h"

#include <stdatomic.h>
#include <sys/random.h>

#define WALL_MAX ((1ll << 42) - 2)

void
ids_random(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n < 256 ? n : 256, 0);

		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}

/* 42 bits, which last until the year 2109; a clock that is out of their range is taken for the
 * nearest end of it. */
static uint64_t
wall_bits(const struct pm_host *host)
{
	int64_t ms = host->wall_ms(host->ctx);

	return ms < 0 ? 0 : ms > WALL_MAX ? WALL_MAX : (uint64_t)ms;
}

uint64_t
ids_arrival(const struct pm_host *host)
{
	static _Atomic uint64_t last; /* of the process: no two are alike, and they are in order */
	uint64_t before = atomic_load(&last), at;
	uint32_t r;

	ids_random(&r, sizeof(r));
	do {
		at = wall_bits(host) << 22 | (r & 0x1fffff);
		if (at <= before)
			at = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, at));
	return at;
}
