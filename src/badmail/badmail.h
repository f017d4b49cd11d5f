/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail - mail that could not be delivered, kept in a store that cannot grow without bound.
 *
 * RETRY    accepted mail (a 250 was or is about to be given) whose store failed: never dropped,
 * whatever its size or age; retried with back-off. When RETRY mail reaches half of the bound the
 * door closes (badmail_door). REFUSED  mail kept instead of being refused (unknown_recipient =
 * badmail): the oldest go when the bound of octets, messages or age is reached, at every insertion
 * and in the background. Nobody gets a bounce.
 *
 * On disk, below `path` of the badmail block:
 *   tmp/            messages being received
 *   retry/aa/bb/    ID.eml as written, ID.json the sidecar: an item is there when its sidecar is.
 *   refused/aa/bb/  the same. IDs count up, aa and bb are taken from them: a directory holds at
 *                   most 512 files, and the order of IDs is the order of arrival.
 *   state           totals of both classes, changed under an OFD lock; names the step under way,
 *                   so that the next caller cleans up after a process that died.
 *
 * After a crash of the machine all is counted anew. Several processes may use one store
 * (restanted, restante-deliver).
 *
 * Threads: any, one handle one thread at a time. All calls touch the disk: under a permit of
 * badmail_backend()'s gate; class BEGIN for begin, CONTINUE for write, GIVE_BACK for commit and
 * end.
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

/* Whose permits the calls need; NULL: the configuration has no badmail block (then nothing here may
 * be called but badmail_door). Borrowed from c. */
struct backend *badmail_backend(const struct conf *c);

/*
 * At MAIL, and again before RETRY mail is taken on: may mail be accepted that might become RETRY?
 * False: 451 4.3.1. Also false without a badmail block: then a store's failure is the sender's to
 * retry, 451. `octets`: of this message, 0: unknown. Asks nobody but memory and, once a second, the
 * state file. ret_text as volume_check.
 */
bool badmail_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap);

/* ---- writing: once, while the message is received ----------------------------------------------
 */

struct badmail;

/* A place to write to. PM_OK; PM_NOSPACE, PM_TEMP, PM_PERM with ret_text (may be NULL, else 200
 * bytes). */
int32_t badmail_begin(const struct conf *c, struct badmail **ret, char *ret_text);
/* The same bytes as dlv_write gets: CRLF, unstuffed. Constant memory. After a failure only
 * badmail_end. */
int32_t badmail_write(struct badmail *b, const void *buf, size_t n);
/*
 * Makes one item of what was written. May be called several times: the recipients of one message
 * may have different classes and reasons; the file is shared (hard link), and each item counts in
 * full. PM_OK: durable; the reply may promise it. PM_NOSPACE: RETRY is at its half, or the item
 * alone is larger than the bound: the sender keeps it, 451 4.3.1. PM_TEMP, PM_PERM: the disk. All
 * but PM_OK: there is no such item. ret_id may be NULL; else 17 bytes: the ID, for the log and the
 * reply.
 */
int32_t badmail_commit(struct badmail *b, const struct badmail_item *item, char *ret_id,
		       char *ret_text);
/* Ends the handle; what was not committed is gone. NULL is fine. */
void badmail_end(struct badmail *b);

#endif
