/* SPDX-License-Identifier: Apache-2.0 */
/* sessions - the verbs sessions and kick. Admin thread; a new reference each. */
#ifndef RST_ADMIN_SESSIONS_H
#define RST_ADMIN_SESSIONS_H

#include <jansson.h>

json_t *sessions_answer(const json_t *request);
json_t *sessions_kick(const json_t *request);

#endif
