/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own - the name an account goes by, and whether it is its section's own. A mailbox is found by
 * the account's name, and that comes from the section: two sections that give one name to two
 * people, and have their mail in one storage section, would give both of them one mailbox.
 *
 * So where sections share a storage section a name is good only if it leads back: the name that
 * was asked does, by the chain; another one has to be one that its section is asked about, and if
 * other sections are asked about it as well, the chain, asked for that name, has to come to the
 * same section (find_confirm): then no other can have it. Where nobody shares, a section may call
 * its accounts as it likes; so no account of another section is let in that was put there by
 * name: nothing shows that its name is not one of theirs. Keys of mailboxes are not looked at:
 * whoever sets one has said which mailbox it is. Where the storage section knows accounts by their
 * local part only, the mailbox must not be another's (owners.h). Pure, but for that.
 */
#ifndef RST_ACCOUNT_OWN_H
#define RST_ACCOUNT_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "base/arena.h"
#include "conf/conf.h"

/* Another auth section whose accounts are in that storage section, or may be, since an account of
 * this one was put there by name (placed), or whose deleted mail is in the same undo storage; NULL:
 * nobody shares it. */
const struct conf_section *own_sharer(const struct conf *c, const struct conf_section *auth,
				      const struct conf_section *storage, bool placed);

/* Name and key, if the module left them empty, and the section's name_domain appended to a name
 * without a domain. PM_OK; PM_PERM: it would be too long; PM_NOMEM. */
int32_t own_complete(const struct conf_section *auth, const char *asked, struct arena *a,
		     struct pm_user *u);

/* Operator's words for a name that leads elsewhere: the name, OWN_OF_SECTION or OWN_NONE, the
 * section or "". */
#define OWN_LEADS_ELSEWHERE \
	"its name is '%.80s', and that leads to %s%.40s: whose mailbox is it? See name_domain"
#define OWN_OF_SECTION "an account of section "
#define OWN_NONE "no account"

enum own {
	OWN_YES,
	OWN_ASK, /* others are asked about this name, too */
	OWN_NO,  /* `text`, of `cap` bytes, gives the reason, for the operator */
};

/* Of a complete user. storage: where its mail is; NULL: nowhere, which others report. */
enum own own_judge(const struct conf *c, const struct conf_section *auth,
		   const struct conf_section *storage, const char *asked, const struct pm_user *u,
		   char *text, size_t cap);

#endif
