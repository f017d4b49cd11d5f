/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - from a name to its account and the storage section of its mail. The auth chain is asked by
 * lookup(), section after section, each under its gate; lookup.h says what each answer means. The
 * one way for everybody who has a name and no password: RCPT, retries, mail of our own, sweeps.
 *
 * A name from outside is a recipient (recipient.h): it may carry a tag, somebody may stand in for
 * postmaster, and when nobody knows it, the sections are asked whether its domain is ours. An
 * account's own name is looked up as it is.
 *
 * An account may go by another name than was asked for; where sections share a storage section,
 * that name is looked for in its turn, because it may be another account's (own.h).
 *
 * find_step is entered again until it returns anything but PM_AGAIN (module/caller.h). One owner.
 */
#ifndef RST_ACCOUNT_FIND_H
#define RST_ACCOUNT_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "account/recipient.h"
#include "conf/conf.h"
#include "module/caller.h"

struct find {
	/* find_begin's */
	struct conf *conf;   /* borrowed: lives as long as the search */
	const char *service; /* for the module: "lmtp", "deliver", "ctl"; static */
	const char *peer;    /* on whose behalf, an address; "": nobody's; borrowed */
	bool outside;        /* a name from outside */
	bool target;         /* the caller's, after find_begin: of an alias (find_keeps_copy) */
	struct recipient
		who; /* .whole is what is looked for, .name what was found, or asked last */
	/* result */
	struct pm_user user;                /* strings in the caller's arena; name, key complete */
	const struct conf_section *auth;    /* the section that was asked last */
	const struct conf_section *storage; /* NULL: the account names one that is not there */
	/* PM_NOENT of a name from outside: its domain is one of ours */
	bool domain_ours;
	/* of f->auth that failed: "lookup", "domain"; NULL: none did */
	const char *method;
	char text[PM_ERROR_MAX + 1]; /* all but PM_OK: why, for the operator */
	/* own */
	bool in_domain; /* nobody knows the name: whose is the domain? */
	bool again;     /* the name `first` goes by is looked for */
	struct find_first {
		char asked[PM_NAME_MAX + 1];
		struct pm_user user;
		const struct conf_section *auth, *storage;
	} first;
};

/* whole: normalised (chain_name). */
void find_begin(struct find *f, struct conf *c, const char *service, const char *peer, bool outside,
		const char *whole);

/* Asks whether the name of an account that was found otherwise, by a login, leads to its section;
 * after OWN_ASK of own_judge. `user`: complete, as for own_judge. find_step: PM_OK, it is. */
void find_confirm(struct find *f, struct conf *c, const char *service, const char *peer,
		  const struct find_first *first);

/* PM_OK: a mailbox; its rights and state were not looked at. PM_MOVED: an alias, user.targets
 * has where to. PM_NOENT: no section knows it. PM_AGAIN: the turn ends, enter again. PM_PERM: it
 * goes by a name that may be another account's. All else: it cannot be told, now (PM_TEMP, PM_DOWN
 * ...), or because who.blind, a section that was asked, cannot look names up. */
int32_t find_step(struct find *f, struct caller *c);

/* After PM_MOVED: is the alias one among its own targets? Then it is a mailbox that keeps a copy of
 * the mail it sends on, and as a `target`, or by its account's own name, it is that mailbox. */
bool find_keeps_copy(const struct find *f);

#endif
