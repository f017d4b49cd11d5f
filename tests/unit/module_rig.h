/* SPDX-License-Identifier: Apache-2.0 */
/* module_rig - modules opened with a clock that the test moves, and helpers that their tests
 * share. */
#ifndef TESTS_UNIT_MODULE_RIG_H
#define TESTS_UNIT_MODULE_RIG_H

#include "rig.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The clock of deadlines: the real one and skew_ms, which grows by step_ms whenever it is asked. */
extern _Atomic int64_t skew_ms, step_ms;
/* From now on it is moved by skew_ms alone. */
void clock_stop(void);
/* The time of day is that of this file's last change (ctime), and goes on with skew_ms. */
void clock_at(const char *path);
/* Called whenever the clock of deadlines is asked; NULL: nothing is. */
extern void (*clock_asked)(void);

/* Lines the module has logged, counted when they are. */
extern _Atomic unsigned logged;

/* The call of the running test: setup and teardown of each. */
extern struct host_call *call;
int fresh(void **state);
int tidy(void **state);
/* Another call; frees the memory of the last one. */
void call_again(void);

/* As rig_open, with that clock. */
struct host_inst *clocked_open(const char *module, ...);

struct pm_user user_named(const char *name);
/* A copy that ends, in one of a few buffers that take turns. */
const char *text_of(struct pm_str s);

int32_t verify(struct host_inst *i, const char *name, const char *password, struct pm_user *ret);
/* As rig_file, each one younger than the last (clocks of file systems are coarse), and two
 * seconds pass. */
const char *dated_file(const char *name, const void *bytes, size_t n);

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, tidy)

#endif
