/* SPDX-License-Identifier: Apache-2.0 */
#include "work/breaker.h"

bool
breaker_count(struct breaker *b, bool failed, uint64_t who_key, uint32_t trip_after)
{
	if (b->state != BREAKER_CLOSED)
		return false; /* the probe decides */
	if (!failed) {
		breaker_close(b);
		return false;
	}
	if (b->in_a_row == 0 && !b->two_keys)
		b->first_key = who_key;
	else if (who_key != b->first_key)
		b->two_keys = true;
	if (b->in_a_row < UINT32_MAX)
		b->in_a_row++;
	return trip_after != 0 && b->in_a_row >= trip_after && b->two_keys;
}

void
breaker_open(struct breaker *b, int64_t until_ms)
{
	if (b->state == BREAKER_CLOSED)
		b->trips++;
	b->state = BREAKER_OPEN;
	b->until_ms = until_ms;
}

void
breaker_close(struct breaker *b)
{
	b->state = BREAKER_CLOSED;
	b->in_a_row = 0;
	b->two_keys = false;
	b->until_ms = 0;
}

void
breaker_close_warily(struct breaker *b, uint32_t trip_after)
{
	breaker_close(b);
	b->in_a_row = trip_after > 0 ? trip_after - 1 : 0;
	b->two_keys = true;
}

bool
breaker_wants_probe(const struct breaker *b, int64_t now_ms)
{
	return b->state != BREAKER_CLOSED && now_ms >= b->until_ms;
}

void
breaker_probing(struct breaker *b, int64_t again_ms)
{
	b->state = BREAKER_HALF_OPEN;
	b->until_ms = again_ms;
}
