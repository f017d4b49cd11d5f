/* SPDX-License-Identifier: Apache-2.0 */
/* user - the verb user: the answer of each auth section to a name, and the content of the
 * mailbox. The thread of the verb; a new reference. */
#ifndef RST_ADMIN_USER_H
#define RST_ADMIN_USER_H

#include <jansson.h>

json_t *user_answer(const json_t *request);

#endif
