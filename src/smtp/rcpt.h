/* SPDX-License-Identifier: Apache-2.0 */
/* rcpt - RCPT: whom it means, and whether that mailbox may have the message. */
#ifndef RST_SMTP_RCPT_H
#define RST_SMTP_RCPT_H

#include "account/find.h"
#include "smtp/dsession.h"

/* RCPT under way. */
struct lookup {
	char given[ADDRESS_QUOTED_MAX + 1]; /* quoted, for replies */
	struct find find;                   /* whom it means; of an alias the target's turn */
	size_t n_targets_before;            /* to take back what was added */
	struct rcpt *rcpt;                  /* set while an alias is expanded */
	const struct pm_str *targets;       /* the alias' */
	size_t n_targets, at;
	/* a mailbox that was found, DWORK_ROOM */
	struct target found;
	const struct conf_section *storage;
	char alias[PM_NAME_MAX + 1]; /* its own name */
};

enum turn rcpt_start(struct dsession *s, const struct address *a);
enum turn rcpt_work(struct dsession *s);

#endif
