/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - what slows down guessing: penalties per (name, address /64), logins in flight per name,
 * and the grid of whole seconds on which refusals are answered.
 * Threads: any; 16 shards with a mutex each. Bounded: the oldest entry gives way.
 */
#ifndef RST_ACCOUNT_GUARD_H
#define RST_ACCOUNT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_IN_FLIGHT_MAX 4 /* logins being checked per name */

void guard_init(void);
void guard_fini(void);

enum guard_answer {
	GUARD_GO,
	GUARD_WAIT, /* a penalty: come back at *ret_at_ms */
	GUARD_BUSY, /* too many logins of this name in flight: [SYS/TEMP] after the grid */
};

/* A login is about to be checked. GUARD_GO counts it in flight: guard_end must follow. */
enum guard_answer guard_begin(const char *name, uint64_t peer_key, int64_t now_ms,
			      int64_t *ret_at_ms);

enum guard_result { GUARD_ACCEPTED, GUARD_DENIED, GUARD_UNDECIDED };
/* Its outcome. DENIED raises the penalty of later logins: 0, 1, 2, 4, 8, 15 s; ACCEPTED clears it;
 * UNDECIDED (backend failure) changes nothing. */
void guard_end(const char *name, uint64_t peer_key, enum guard_result r, int64_t now_ms);

/* When a refusal that began at started_ms is answered: at the next whole second since, 1 at
 * least. */
int64_t guard_grid(int64_t started_ms, int64_t now_ms);

#endif
