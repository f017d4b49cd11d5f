/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post - one message on its way into one store, for one recipient or many: the only way in, for
 * LMTP and SMTP, for mail of our own and retries (mailbox/letter.h), for what moves to another
 * store (upkeep/transfer.h).
 *
 *   post_begin    the volume is there, and is leased: what is mounted now must be mounted still
 *                 when the message is promised; the store begins
 *   post_rcpt     once for each recipient
 *   post_write    the message, in pieces
 *   post_prepare  each copy is durable, and invisible
 *   post_commit   each copy is in its mailbox; the handle is gone, however it ends
 *   post_settle   for each copy, when it is known what became of it: the volume and the domain it
 *                 counts to learn it
 *   post_abort    in place of the commit: nothing was delivered
 *
 * Each waits for its permit by itself: PM_AGAIN, and it is entered again with the same arguments.
 * Every other code but PM_OK is why not, and `text` says it for the log. Holds on the count of a
 * domain (mailbox/quota.h) are taken by the callers, who know whose limit counts, before the
 * commit.
 *
 * Threads: the owner of the caller's task.
 */
#ifndef RST_MAILBOX_POST_H
#define RST_MAILBOX_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"
#include "mailbox/quota_domain.h"
#include "module/backend.h"
#include "module/caller.h"

struct post {
	/* set before post_begin, the rest zeroed */
	struct backend *store; /* borrowed */
	uint8_t op_id[16];     /* of this delivery, in each of its calls (module.h) */
	/* own */
	void *dlv;       /* NULL: nothing has to go home */
	uint64_t mount;  /* the volume's when it was begun */
	bool committing; /* the store is at it: nothing may stop it */
	char text[PM_ERROR_MAX + 1];
};

/* octets: about so many will come, 0: unknown. flags: PM_DLVF_... */
int32_t post_begin(struct post *p, struct caller *c, uint64_t octets, uint32_t flags);
/* PM_OK, or why this recipient gets none; the others may. */
int32_t post_rcpt(struct post *p, struct caller *c, const struct pm_rcpt *r);
int32_t post_write(struct post *p, struct caller *c, const void *buf, size_t n);
/* results: one for each recipient that was PM_OK, in their order, `size` set; for both. */
int32_t post_prepare(struct post *p, struct caller *c, struct pm_result *results);
/* Not PM_OK and dlv still there: it was not begun, and post_abort follows. */
int32_t post_commit(struct post *p, struct caller *c, struct pm_result *results);
/* PM_OK: nothing is held any more. PM_AGAIN. */
int32_t post_abort(struct post *p, struct caller *c);

/* One copy of so many octets came to rc. h: its hold, NULL: none. */
void post_settle(const struct post *p, const struct conf *c, struct quota_hold *h, uint64_t octets,
		 int32_t rc);

#endif
