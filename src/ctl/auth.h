/* SPDX-License-Identifier: Apache-2.0 */
/* auth - the question of restantectl auth test. The password comes on standard input only:
 * arguments are seen by everybody on the host. */
#ifndef RST_CTL_AUTH_H
#define RST_CTL_AUTH_H

#include <jansson.h>

#include "ctl/options.h"

/* A new reference; NULL: the reason was printed. */
struct request;

json_t *auth_question(const struct ctl *c, const struct request *asks);

#endif
