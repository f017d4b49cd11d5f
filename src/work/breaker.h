/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker - is the backend worth asking at all? Pure: no lock, no clock, no log.
 *
 *   CLOSED     calls go through; failures in a row are counted, with the accounts that saw them
 *   OPEN       nothing may begin until until_ms
 *   HALF_OPEN  a probe is out; nothing else may begin. No answer until until_ms: another probe
 */
#ifndef RST_WORK_BREAKER_H
#define RST_WORK_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
	enum breaker_state state;
	uint32_t in_a_row;  /* failures */
	bool two_keys;      /* failures came from more than one account */
	uint64_t first_key; /* the account of the first failure */
	int64_t until_ms;
	uint64_t trips;
};

/* A call came back. True: it is time to open: trip_after failures in a row (0 = never) from at
 * least two keys. Nothing is counted unless CLOSED. */
bool breaker_count(struct breaker *b, bool failed, uint64_t who_key, uint32_t trip_after);

void breaker_open(struct breaker *b, int64_t until_ms);
void breaker_close(struct breaker *b);
/* The next failure opens it again. */
void breaker_close_warily(struct breaker *b, uint32_t trip_after);

/* True: send a probe; HALF_OPEN until it answers, or until again_ms. */
bool breaker_wants_probe(const struct breaker *b, int64_t now_ms);
void breaker_probing(struct breaker *b, int64_t again_ms);

#endif
