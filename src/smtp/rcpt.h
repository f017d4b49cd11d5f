/* SPDX-License-Identifier: Apache-2.0 */
/* rcpt - RCPT: finds the recipient, and whether that mailbox may have the message. */
#ifndef RST_SMTP_RCPT_H
#define RST_SMTP_RCPT_H

#include "account/find.h"
#include "smtp/dsession.h"

/* RCPT in progress. */
struct lookup {
	char given[ADDRESS_QUOTED_MAX + 1]; /* quoted, for replies */
	bool utf8;                          /* it is not only ASCII */
	/* the search for it, or for the current target of an alias */
	struct find find;
	size_t n_targets_before;      /* to take back what was added */
	struct rcpt *rcpt;            /* set while an alias is expanded */
	const struct pm_str *targets; /* of the alias */
	size_t n_targets, at;
	bool keeps; /* the alias is a mailbox, too */
	/* a mailbox that was found, DWORK_ROOM */
	struct target found;
	const struct conf_section *storage;
	char alias[PM_NAME_MAX + 1]; /* the name of the alias */
};

enum turn rcpt_start(struct dsession *s, const struct address *a);
enum turn rcpt_work(struct dsession *s);

#endif
