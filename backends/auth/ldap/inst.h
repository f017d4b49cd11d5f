/* SPDX-License-Identifier: Apache-2.0 */
/* inst - one instance of the module, and what one call of it carries along. */
#ifndef LDAP_INST_H
#define LDAP_INST_H

#include <stdint.h>

#include <restante/module.h>

#include "settings.h"

struct sdk_pool;
struct tls;

struct inst {
	const struct pm_host *host;
	struct settings set;
	struct sdk_pool *pool; /* of pairs, pool.h */
	struct tls *tls;
};

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
