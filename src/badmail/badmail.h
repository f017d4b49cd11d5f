/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail - mail that could not be delivered, kept in a store that cannot grow without bound.
 *
 * - RETRY is accepted mail whose store failed: the 250 was given, or is about to be. It is never
 *   dropped, whatever its size or age, and is tried again with back-off. When RETRY mail reaches
 *   half of the bound, the door closes (badmail_door).
 * - REFUSED is mail kept instead of being refused (unknown_recipient = badmail). The oldest goes
 *   when the bound of octets, messages or age is reached, at every insertion and in the
 *   background. Nobody gets a bounce.
 *
 * On disk, below `path` of the badmail block:
 *   tmp/            messages being received
 *   retry/aa/bb/    ID.eml as written, ID.json the sidecar: an item is there when its sidecar is.
 *   refused/aa/bb/  the same. IDs count up, aa and bb are taken from them: a directory holds at
 *                   most 512 files, and the order of IDs is the order of arrival.
 *   lost/           halves of items that a count found: kept for the operator, not counted
 *   state           totals of both classes, changed under an OFD lock; names the step under way,
 *                   so that the next caller cleans up after a process that died.
 *
 * After a crash of the machine all items are counted again. Several processes may use one store
 * (restanted, restante-deliver).
 *
 * Threads: any, but one thread at a time for each handle. All calls but badmail_door touch the
 * disk and need a permit of badmail_backend()'s gate: class BEGIN for begin, CONTINUE for write,
 * GIVE_BACK for commit and end.
 */
#ifndef RST_BADMAIL_BADMAIL_H
#define RST_BADMAIL_BADMAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "badmail/badmail_item.h"
#include "conf/conf.h"
#include "module/backend.h"

/* The gate that the calls need permits of. NULL: the configuration has no badmail block, and only
 * badmail_door may be called. Borrowed from c. */
struct backend *badmail_backend(const struct conf *c);

/*
 * Asked at MAIL, and again before RETRY mail is taken on: may mail be accepted that might become
 * RETRY? False: 451 4.3.1. Also false without a badmail block: after a store's failure the sender
 * has to try again, 451. octets: of this message, 0 if unknown. Goes by the state page as this
 * process saw it last, and by what is known of the volume. ret_text as in volume_check.
 */
bool badmail_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap);

/* ---- writing: once, while the message is received -------------------------------------------- */

struct badmail;

/* A place to write to. PM_OK; PM_NOSPACE, PM_TEMP, PM_PERM with ret_text (may be NULL, else 200
 * bytes). */
int32_t badmail_begin(const struct conf *c, struct badmail **ret, char *ret_text);
/* The same bytes as dlv_write gets: CRLF, unstuffed. Constant memory. After a failure only
 * badmail_end may follow. */
int32_t badmail_write(struct badmail *b, const void *buf, size_t n);
/*
 * Makes an item of the message that was written. May be called several times, since the recipients
 * of one message may have different classes and reasons: the file is shared (hard link), and each
 * item counts in full.
 *
 * PM_OK       durable; the reply may promise it.
 * PM_NOSPACE  RETRY is at its half, or the item alone is larger than the bound: the sender keeps
 *             it, 451 4.3.1.
 * PM_TEMP, PM_PERM  the disk failed. After anything but PM_OK there is no such item.
 * ret_id      may be NULL; else 17 bytes: the ID, for the log and the reply.
 */
int32_t badmail_commit(struct badmail *b, const struct badmail_item *item, char *ret_id,
		       char *ret_text);
/* Ends the handle; a message that was not committed is gone. NULL is fine. */
void badmail_end(struct badmail *b);

#endif
