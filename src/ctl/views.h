/* SPDX-License-Identifier: Apache-2.0 */
/* views - the answers of verbs that ask once, for people. */
#ifndef RST_CTL_VIEWS_H
#define RST_CTL_VIEWS_H

#include <jansson.h>

void view_status(const json_t *answer);
void view_metrics(const json_t *answer);
void view_sessions(const json_t *answer);
void view_modules(const json_t *answer);
void view_user(const json_t *answer);
void view_auth(const json_t *answer);
void view_volumes(const json_t *answer);
void view_clock(const json_t *answer);

#endif
