/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_admin - the questions of restantectl badmail. */
#ifndef RST_BADMAIL_BADMAIL_ADMIN_H
#define RST_BADMAIL_BADMAIL_ADMIN_H

#include <jansson.h>

struct request;

/* Main: hands each of its requests to `add`, with the function that answers it: one page of one
 * verb, any thread. It reads only what the page needs and reports how many sidecars that were
 * ("read"). */
typedef void badmail_admin_add(const struct request *r, json_t *(*answer)(const json_t *request));
void badmail_admin_begin(badmail_admin_add *add);

#endif
