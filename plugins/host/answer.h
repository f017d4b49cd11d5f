/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer - the text and the code that a module gives in a call, before the server believes them.
 *
 * Threads: that of the call.
 */
#ifndef PM_HOST_ANSWER_H
#define PM_HOST_ANSWER_H

#include "call.h"

/* pm_call.error: keeps the text, cut at PM_ERROR_MAX, control bytes replaced. pm is that of a
 * host_call. */
void answer_error(const struct pm_call *pm, struct pm_str text);
/* Our own words in the place of the module's; returns rc. */
int32_t answer_complain(struct host_call *c, int32_t rc, const char *text);
/* Returns rc; a code we do not know becomes PM_TEMP (R10), with a text: somebody should hear of
 * it. */
int32_t answer_known(struct host_call *c, int32_t rc);
/* The same; and PM_AGAIN and PM_END, which mean something only where the ABI defines it, become
 * PM_TEMP. */
int32_t answer_final(struct host_call *c, int32_t rc);

/* Name of a code: PM_TEMP -> "TEMP"; "?" for unknown. */
const char *host_code_name(int32_t rc);
/* DOWN or TIMEOUT: counts for the breaker. */
int host_backend_failed(int32_t rc);

#endif
