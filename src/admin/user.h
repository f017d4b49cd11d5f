/* SPDX-License-Identifier: Apache-2.0 */
/* user - the verb user: what each auth section answers to a name, and what the mailbox holds. The
 * caller's thread; a new reference. */
#ifndef RST_ADMIN_USER_H
#define RST_ADMIN_USER_H

#include <jansson.h>

json_t *user_answer(const json_t *request);

#endif
