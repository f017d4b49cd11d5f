/* SPDX-License-Identifier: Apache-2.0 */
/* verbs - the table of the verbs the control socket understands. */
#ifndef RST_ADMIN_VERBS_H
#define RST_ADMIN_VERBS_H

#include <jansson.h>
#include <stdbool.h>

struct request;

/* Main, before admin_start: one more verb, answered by a folder above this one; it may take its
 * time (any thread). */
void verbs_add(const struct request *r, json_t *(*run)(const json_t *request));

/* The answer to a request; a new reference. Any thread. */
json_t *verbs_answer(const json_t *request);
/* Does it ask a module, the disk or main? */
bool verbs_is_slow(const json_t *request);

#endif
