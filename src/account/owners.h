/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owners - whose are the mailboxes of a storage section that knows accounts by their local part
 * only (path = /var/mail/%n)? ann@a.example and ann@b.example have one mailbox there. The first of
 * them who comes, or whose mail comes, has it; any other account is refused until a reload or a
 * restart, since nothing else tells whose the mail is.
 *
 * Accounts are told apart by their names; or by their entry (pm_attr "entry") where one entry of a
 * section has many names.
 *
 * Any thread. At most OWNERS_MAX mailboxes are known; those that come later are not guarded.
 */
#ifndef RST_ACCOUNT_OWNERS_H
#define RST_ACCOUNT_OWNERS_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

#include "module/backend.h"

#define OWNERS_MAX 1000000

/* Main, before b is shared: owners of its mailboxes are remembered from now on. False: no
 * memory. */
bool owners_add(struct backend *b);
/* True: the mailbox is this account's, of that auth section. False: `other` has the name of whose
 * it is, cut to `cap` bytes. NULL owners: true. */
bool owners_claim(struct owners *o, const char *section, const struct pm_user *u, char *other,
		  size_t cap);
/* After a reload: accounts may have changed. NULL is fine. */
void owners_forget(struct owners *o);

#endif
