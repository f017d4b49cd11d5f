/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipient - which accounts a recipient's name may mean, and in which order the auth chain is
 * asked about them: first the whole name, section after section, then without its +tag
 * (`delimiter`), at last the one that stands in for postmaster.
 *
 * It is for names from outside: a recipient, and each target of an alias, which is a recipient as
 * well; by RCPT, and by a retry that asks whose mail it is by now. An account's own name is none of
 * them: whoever has found an account (a warning about its mailbox, a retry's first try, a sweep)
 * asks for that name only, by chain_next, and another account never gets what is meant for it.
 * Pure.
 */
#ifndef RST_ACCOUNT_RECIPIENT_H
#define RST_ACCOUNT_RECIPIENT_H

#include <stdbool.h>

#include <restante/module.h>

#include "conf/conf.h"

#define RECIPIENT_TARGETS_MAX 1000 /* of one alias */

struct recipient {
	char whole[PM_NAME_MAX + 1]; /* as modules know it: chain_name made it */
	char name[PM_NAME_MAX + 1];  /* asked about now: whole, or less */
	/* the section to be asked: recipient_next's answer; + 1: it does not know the name */
	int auth;
	bool without_tag, postmaster; /* already tried */
	/* account/lookup.h: was asked, and cannot look names up; NULL: none */
	const struct conf_section *blind;
};

/* `whole` is set: begins to ask about it. */
void recipient_begin(struct recipient *w);
/* The section to ask about w->name, which may have become another; -1: nobody is left. */
int recipient_next(const struct conf *c, struct recipient *w);
/* Nobody knows it, and its domain is ours: does somebody stand in (RFC 5321 section 4.5.1)? Then
 * recipient_next goes on. */
bool recipient_stand_in(const struct conf *c, struct recipient *w);
/* The right an account lacks to get mail, in words; NULL: it lacks none. */
const char *recipient_lacks(const struct pm_user *u);

#endif
