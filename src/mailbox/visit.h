/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit - one mailbox of one store, from its opening to its close: by a session, by a sweep, by a
 * move to another store.
 *
 *   visit_open    the volume is there; the store opens, and locks as `flags` say
 *   visit_info    the records of messages; visit_next: of the next slice of them
 *   visit_read    one message, between visit_begin_message and its end
 *   visit_commit  deletes, restores, marks; tells the count of the domain the result
 *   visit_close   gives the mailbox back, also one that is not open yet
 *
 * Each waits for its permit by itself: PM_AGAIN, and it is entered again with the same arguments.
 * Any other code than PM_OK is a failure, explained for the log in `text`. While `mbox` is set
 * there is something to close.
 *
 * Threads: the owner of the caller's task.
 */
#ifndef RST_MAILBOX_VISIT_H
#define RST_MAILBOX_VISIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"
#include "mailbox/quota_domain.h"
#include "mailbox/registry.h"
#include "module/backend.h"
#include "module/caller.h"

#define VISIT_SLICE 128 /* records at a time: 24 KiB of stack */

struct visit {
	/* set before visit_open, the rest zeroed */
	struct backend *store; /* borrowed */
	/* not a session: if it locks the mailbox it is claimed in the registry, and ends when
	 * somebody who logs in waits for it */
	bool background;
	/* private */
	void *mbox;
	void *msg;      /* the message that is being read */
	uint64_t count; /* messages, once it is open */
	uint64_t at;    /* the next record of visit_info */
	uint8_t op_id[16];
	struct registry_entry *claim; /* background */
	bool committing;              /* the store is committing: nothing may stop it */
	char text[PM_ERROR_MAX + 1];
};

/* flags: PM_OPEN_... PM_BUSY: another session has it, or, for the background, a session waits. */
int32_t visit_open(struct visit *v, struct caller *c, const struct pm_user *u, uint32_t flags);
/* The background's visit: a session waits for the mailbox. Asked after each slice. */
bool visit_wanted(const struct visit *v);
/* n records from `first` on; n is at most PM_SLICE_MAX. */
int32_t visit_info(struct visit *v, struct caller *c, uint64_t first, size_t n, uint32_t want,
		   struct pm_msg *ret);
/* The next slice: *ret_n records from v->at on, which moves on. None left: PM_OK and 0. */
int32_t visit_next(struct visit *v, struct caller *c, uint32_t want, struct pm_msg ret[VISIT_SLICE],
		   size_t *ret_n);
/* Opens message `index`, to be read from its beginning. */
int32_t visit_begin_message(struct visit *v, struct caller *c, uint64_t index);
/* Up to cap octets of it; PM_END: that was all, and it is closed. */
int32_t visit_read(struct visit *v, struct caller *c, void *buf, size_t cap, size_t *ret_got);
/* Closes the message, under the permit that is held; it is fine if none is open. Without a permit
 * it is closed with the mailbox. */
void visit_end_message(struct visit *v, struct caller *c);
/* what: the same at each entry except `n`, which is set here. h: the hold of its domain's count
 * (quota_domain_drop, quota_domain_take_anyway); it is ended. *ret_done: PM_PARTIAL: how many. */
int32_t visit_commit(struct visit *v, struct caller *c, const struct conf *conf,
		     struct pm_commit *what, struct quota_hold *h, uint64_t *ret_done);
/* PM_OK: nothing is held any more. PM_AGAIN. */
int32_t visit_close(struct visit *v, struct caller *c);

#endif
