/* SPDX-License-Identifier: Apache-2.0 */
/* stress_echo - the session of engine_stress.c, what is counted, and chance. */
#ifndef STRESS_ECHO_H
#define STRESS_ECHO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/acceptor.h"
#include "work/gate.h"

struct stress_count {
	_Atomic uint64_t sessions, commands, kicks, deadlines, hups, refused, gate_timeouts, opened,
		given_back, turns;
	_Atomic uint64_t double_owners, hangs, wrong_replies, early, failures;
	_Atomic int alive;
	_Atomic bool over;
};
extern struct stress_count count;

/* One works, one hangs. */
extern struct gate *good, *bad;

/* 0 .. n - 1. */
uint32_t chance(uint32_t n);

struct task *echo_new(const struct listener *l, int fd, const struct peer *p);

#endif
