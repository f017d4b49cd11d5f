/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, and an order of arrival. */
#include "ids.h"

#include <stdatomic.h>
#include <sys/random.h>

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

uint64_t
ids_arrival(const struct pm_host *host)
{
	static _Atomic uint64_t last; /* of the process: no two are alike, and they are in order */
	uint64_t before = atomic_load(&last), at;
	uint32_t r;

	ids_random(&r, sizeof(r));
	do {
		at = (uint64_t)host->wall_ms(host->ctx) << 22 | (r & 0x1fffff);
		if (at <= before)
			at = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, at));
	return at;
}
