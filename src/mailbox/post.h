/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post - one message on its way into one store, for one recipient or many: the only way in, for
 * LMTP and SMTP, for mail of our own and retries (mailbox/letter.h), for mail that moves to another
 * store (upkeep/transfer.h).
 *
 *   post_begin    the volume is there, and is leased: the file system mounted now must still be
 *                 mounted when the message is promised; the store begins
 *   post_rcpt     once for each recipient
 *   post_write    the message, in pieces
 *   post_prepare  each copy is durable, and invisible
 *   post_commit   each copy is in its mailbox; the handle is gone, however it ends
 *   post_settle   for each copy, when its result is known: tells the volume and the count of its
 *                 domain
 *   post_abort    in place of the commit: nothing was delivered
 *
 * Each waits for its permit by itself: PM_AGAIN, and it is entered again with the same arguments.
 * Any other code than PM_OK is a failure, explained for the log in `text`. Holds on the count of a
 * domain (mailbox/quota_domain.h) are taken before the commit by the callers, which know whose
 * limit counts.
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
	/* private */
	void *dlv;       /* NULL: there is nothing to give back */
	uint64_t mount;  /* the volume's mount number when it was begun */
	bool committing; /* the store is committing: nothing may stop it */
	char text[PM_ERROR_MAX + 1];
};

/* octets: about this many will come, 0: unknown. flags: PM_DLVF_... */
int32_t post_begin(struct post *p, struct caller *c, uint64_t octets, uint32_t flags);
/* PM_OK, or the reason why this recipient gets no copy; the others may get theirs. */
int32_t post_rcpt(struct post *p, struct caller *c, const struct pm_rcpt *r);
int32_t post_write(struct post *p, struct caller *c, const void *buf, size_t n);
/* results, for both: one for each recipient that was PM_OK, in their order, with `size` set. */
int32_t post_prepare(struct post *p, struct caller *c, struct pm_result *results);
/* Not PM_OK, and dlv is still set: the commit was not begun, and post_abort follows. */
int32_t post_commit(struct post *p, struct caller *c, struct pm_result *results);
/* PM_OK: nothing is held any more. PM_AGAIN. */
int32_t post_abort(struct post *p, struct caller *c);

/* One copy of so many octets has ended with rc. h: its hold, NULL: none. */
void post_settle(const struct post *p, const struct conf *c, struct quota_hold *h, uint64_t octets,
		 int32_t rc);

#endif
