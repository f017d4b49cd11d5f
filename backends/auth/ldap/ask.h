/* SPDX-License-Identifier: Apache-2.0 */
/* ask - what one call carries along: the time left for the step it is at, and its last failure. */
#ifndef LDAP_ASK_H
#define LDAP_ASK_H

#include <stdint.h>

#include "inst.h"

/* One call and the time that is left for the step it is at. */
struct ask {
	const struct inst *inst;
	const struct pm_call *call;
	int64_t until_ms; /* never after call->deadline_ms */
	char *why;        /* PM_ERROR_MAX + 1 bytes: the last failure in words */
};

/* Milliseconds until then, >= 0. */
int64_t ask_left(const struct ask *a);

/* The same call, with at most `ms` for the next step. */
struct ask ask_within(const struct ask *a, int64_t ms);

/* To call->error, and kept in a->why. Not a secret, please. */
void ask_error(const struct ask *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
