/* SPDX-License-Identifier: Apache-2.0 */
/* status - the verb status: the server as a whole. Admin thread; a new reference. */
#ifndef RST_ADMIN_STATUS_H
#define RST_ADMIN_STATUS_H

#include <jansson.h>

json_t *status_answer(const json_t *request);

#endif
