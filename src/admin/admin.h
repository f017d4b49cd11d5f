/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin - the control socket run_dir/control (mode 0600): one JSON object a line in, one out, then closed.
 * Its thread serves one caller at a time and gives each five seconds for its line and its answer; it never
 * calls a module: what needs one is an errand, waited for with a deadline. So it answers while every module
 * hangs.
 */
#ifndef RST_ADMIN_ADMIN_H
#define RST_ADMIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>

/* Main. False: said on standard error. */
bool admin_start(const char *run_dir);
void admin_stop(void);

/* Main, before admin_start: one more verb, whose answer comes from above this folder. */
void admin_add_verb(const char *name, json_t *(*run)(const json_t *request));

/* Private to src/admin: the answer to a request; a new reference. */
json_t *admin_answer(const json_t *request);
json_t *admin_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* verbs that ask modules */
json_t *admin_user(const json_t *request);
json_t *admin_auth_test(const json_t *request);

#endif
