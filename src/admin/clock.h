/* SPDX-License-Identifier: Apache-2.0 */
/* clock - is the wall clock believed (base/clock_note.h), for restantectl clock. */
#ifndef RST_ADMIN_CLOCK_H
#define RST_ADMIN_CLOCK_H

#include <jansson.h>

json_t *clock_answer(const json_t *request);

#endif
