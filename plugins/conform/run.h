/* SPDX-License-Identifier: Apache-2.0 */
/* run - a process for each check, and its outcome. */
#ifndef CONFORM_RUN_H
#define CONFORM_RUN_H

#include <stdint.h>

#include "check.h"

_Noreturn void kit_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The check does not apply to this module; the reason is shown. */
_Noreturn void kit_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define EXPECT(cond, ...) \
	do { \
		if (!(cond)) \
			kit_fail(__VA_ARGS__); \
	} while (0)
/* Fails unless rc is the expected one; the module's own words are shown too. */
void expect_rc(const char *what, int32_t rc, int32_t expected);

struct outcome {
	enum { PASSED, FAILED, SKIPPED } how;
	char text[1500];
};
struct outcome run_check(const struct check *c);
/* A child of a check: runs fn(arg) and ends with its result; the caller reads it with kit_join. */
int kit_fork(int (*fn)(void *arg), void *arg);
int kit_join(int pid);

#endif
