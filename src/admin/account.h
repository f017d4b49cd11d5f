/* SPDX-License-Identifier: Apache-2.0 */
/* account - an account that a section knows, and its mailbox, as fields of an answer. Admin thread.
 */
#ifndef RST_ADMIN_ACCOUNT_H
#define RST_ADMIN_ACCOUNT_H

#include <jansson.h>

#include "admin/question.h"

#define ACCOUNT_ASK_MS 5000 /* a lookup, or the mailbox's numbers */

/* What this section found for the name, names it left empty filled in. Asks the storage section,
 * too. */
void account_json(json_t *o, struct conf *c, const struct conf_section *auth, const char *name,
		  const struct pm_user *found);

/* What a section says of a name that is looked up: a result code in words, for the person who
 * asked. */
const char *account_words(int32_t rc);

#endif
