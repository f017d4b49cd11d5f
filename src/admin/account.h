/* SPDX-License-Identifier: Apache-2.0 */
/* account - an account that a section knows, and its mailbox, as fields of an answer. The
 * thread of a verb. */
#ifndef RST_ADMIN_ACCOUNT_H
#define RST_ADMIN_ACCOUNT_H

#include <jansson.h>

#include "admin/question.h"

/* Adds the account that this section found for the name; fields the section left empty are
 * filled in. Asks the storage section, too. */
void account_json(json_t *o, struct conf *c, const struct conf_section *auth, const char *name,
		  const struct pm_user *found);

/* Does this account's name lead back (account/own.h)? PM_OK; else `text` has the reason that a
 * login fails for: PM_PERM, or it cannot be told now. */
int32_t account_own(struct conf *c, const struct conf_section *auth, const char *name,
		    const struct pm_user *found, char *text, size_t cap);

/* The result of a lookup in words, for the person who asked. */
const char *account_words(int32_t rc);

#endif
