/* SPDX-License-Identifier: Apache-2.0 */
/* talk - one question to the server, and its answer. */
#ifndef RST_CTL_TALK_H
#define RST_CTL_TALK_H

#include <jansson.h>

#include "ctl/options.h"

/* The answer, a new reference; NULL: there is none, *ret_rc is the exit code, and the reason is on
 * standard error. */
json_t *talk_ask(const struct ctl *c, json_t *request, int *ret_rc);
/* The same, but only if "ok" is true: else the server's reason is printed. */
json_t *talk_ask_ok(const struct ctl *c, json_t *request, int *ret_rc);

#endif
