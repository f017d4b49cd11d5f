/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota - limits of users and domains: octets and messages.
 *
 * Their sources: pm_user (quota_*, domain_*), else the `domain NAME {` block, else the site's
 * settings; 0 = no limit. A user's usage is box_stat of the store (hidden messages are not
 * counted). A domain's usage is
 *   - counted by the store in its own transaction, if the module has PM_F_COUNTS (then it checks
 *     the user's limits too, and answers PM_QUOTA); or
 *   - one small file per domain, state_dir/quota/DOMAIN, changed under an OFD lock. Only domains
 *     with a limit have one. Its limit is never exceeded, not by one message. A change that was
 *     under way in a process that was killed makes the count doubtful (too high at most); it is
 *     counted again at the next start, or by restantectl quota --recount.
 *
 * How a delivery uses it (under the permit of the storage section's gate: local files are touched):
 *   RCPT     quota_fill() completes the user's record, for the module too; quota_limits(); if
 *            quota_wants_stat() then host_box_stat() (PM_NOENT: zeroes); quota_check() with the
 *            size announced by SIZE=, else 0. PM_QUOTA: 452 4.2.2 for this recipient, or
 *            552 5.2.2 by conf->quota_over.
 *   after DATA, with the real size: quota_check() again with the same pm_stat, then
 *            quota_domain_take(), which is the decision. PM_QUOTA: as above. (Two deliveries to one
 *            user at once may both pass: one message over; a domain's limit is exact.)
 *   after dlv_commit: quota_domain_end() with the recipient's pm_result.rc; PM_OK: quota_after().
 *            Wherever a recipient is given up before: quota_domain_give_back().
 * How POP3 and expiry use it: quota_domain_drop() before mbox_commit, quota_domain_end() after it;
 * restored mail is taken by quota_domain_take_anyway() before. So no mail comes or goes without a
 * hold, and a hold ends by one rule.
 *
 * Never consulted for deleting: that always works.
 */
#ifndef RST_MAILBOX_QUOTA_H
#define RST_MAILBOX_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"
#include "module/backend.h"

#define QUOTA_TEXT_MAX 160

struct quota_limits {
	uint64_t octets, msgs;               /* of the user; 0 = none */
	uint64_t domain_octets, domain_msgs; /* of the domain; 0 = none */
	char domain[256];                    /* lower-case; "": none */
	/* the module checks all of them in its own transaction */
	bool store_counts;
	/* our own file counts this domain; false: no limit, or the store does it */
	bool domain_counted;
};

/* Fills the limits that a user's record leaves at 0 from its domain's block and the site, and the
 * domain that it leaves empty from the name: modules see the limits that apply. */
void quota_fill(const struct conf *c, struct pm_user *u);

/* The limits of a user's record after quota_fill(); u->name is complete. `storage` decides who
 * counts the domain. */
void quota_limits(const struct backend *storage, const struct pm_user *u, struct quota_limits *ret);
/* Has the user a limit of its own that the store does not check itself? Then box_stat must be
 * asked. */
bool quota_wants_stat(const struct quota_limits *l);
/* Must box_stat be asked at all? A store that counts by itself still leaves the warning mail to
 * us. */
bool quota_wants_usage(const struct conf *c, const struct quota_limits *l);

/*
 * May a message of `octets` come on top of `now`? PM_OK or PM_QUOTA. A message of unknown size (0)
 * is refused when the limit is reached already. Pure.
 * ret_text  may be NULL; else QUOTA_TEXT_MAX, for the sender:
 *           "mailbox is full: 1048000 of 1048576 octets"
 */
int32_t quota_check(const struct quota_limits *l, const struct pm_stat *now, uint64_t octets,
		    char *ret_text);

/*
 * After a commit: is a warning mail due now (quota_warn, 80 %)? True: this caller is the one to
 * send it (mailbox/warn.h). Once until usage falls below; remembered in state_dir/quota/warned/.
 * before: the result of box_stat at RCPT; octets: the size of the message.
 */
bool quota_after(const struct conf *c, const struct quota_limits *l, const struct pm_user *u,
		 const struct pm_stat *before, uint64_t octets);

#endif
