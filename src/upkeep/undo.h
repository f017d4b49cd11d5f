/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undo - deleted mail that can still be restored goes to a store of its own (undo_storage), on a
 * disk of its own.
 *
 * QUIT hides mail, as it does without an undo storage: it copies nothing and waits for no other
 * disk. Some seconds later the background moves hidden mail (upkeep/transfer.h) to the undo
 * storage, any storage section that imports: to the mailbox named after the account. Mail that
 * cannot be moved - its disk is away or full, its database down - stays hidden where it is, and is
 * removed by its own store when its time is over.
 *
 * In the undo storage "first retrieved" is the time until which a message is kept, with a mark that
 * it was moved there (UNDO_MARK_MS). Messages whose time is over are deleted by `restantectl
 * expire` and by a round of the background; a message without the mark never, whatever its date: it
 * may belong to a maildrop. restantectl undelete looks in both places.
 *
 * Threads: any.
 */
#ifndef RST_UPKEEP_UNDO_H
#define RST_UPKEEP_UNDO_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"

#define UNDO_DELAY_MS 2000 /* a client that comes back at once finds its maildrop free */

/*
 * Added to the time until which a moved message is kept: the date is in the year 5138 or later,
 * which no retrieval writes and every store keeps (DATETIME ends with 9999). So the message itself
 * proves that it was moved, in any store that keeps dates, by the same step that delivers it.
 */
#define UNDO_MARK_MS INT64_C(100000000000000)

/* Contradictions of undo_storage; flags: of that section's module and of the one it wraps. */
void undo_check(const struct conf *c, uint32_t flags, struct conf_errors *e);

/* The account in the undo storage: a mailbox named after it, without quotas. Borrows from u. */
void undo_user(const struct pm_user *u, struct pm_user *ret);

/* This account has hidden mail: it is to be moved soon. Without undo_storage nothing happens. An
 * account that finds no place among the undo_waiting ones is missed. */
void undo_hidden(const struct conf *c, struct pm_str name);
/* A move of this account failed `tries` times: later again, at last every hour. */
void undo_again(const char *name, unsigned tries, int64_t now_ms);
/* Takes an account off the list whose mail is to be moved now; false: none. */
bool undo_due(int64_t now_ms, char ret_name[PM_NAME_MAX + 1], unsigned *ret_tries);
/* True: since the last question an account was missed, so all mailboxes are to be walked. */
bool undo_missed(void);
/* A walk did not come to all of them. */
void undo_miss(void);

#endif
