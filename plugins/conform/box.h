/* SPDX-License-Identifier: Apache-2.0 */
/* box - mailboxes and mail, as checks need them. */
#ifndef CONFORM_BOX_H
#define CONFORM_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "inst.h"

#define AGAIN_MAX 1000000 /* slices: beyond that there is no progress */

struct box {
	struct inst *in;
	void *h;
	uint64_t n;
};
struct bytes {
	char *p;
	size_t n;
};

/* "conform<k>@example.org", as lookup() would give it. The strings are static. */
struct pm_user kit_user(unsigned k);
struct pm_str kit_str(const char *s);
/* mbox_open until it is done; the result, with *ret set for PM_OK. */
int32_t box_try(struct inst *in, unsigned user, uint32_t flags, struct box *ret);
struct box box_open(struct inst *in, unsigned user, uint32_t flags);
/* box_stat until it is done. */
int32_t box_totals(struct inst *in, unsigned user, struct pm_stat *ret);
int32_t box_recount(struct inst *in, unsigned user, struct pm_stat *ret); /* PM_CALLF_RECOUNT */
/* The same, after its holder was killed: at once if the system keeps the lock; if a lease does,
 * when it has run out. */
struct box box_open_dead(struct inst *in, unsigned user);
void box_close(struct box *b);
/* mbox_info of messages first..first+n-1 until it is done. */
void box_info(struct box *b, uint64_t first, size_t n, uint32_t want, struct pm_msg *ret);
struct pm_msg box_one(struct box *b, uint64_t index, uint32_t want);
/* The whole message in reads of at most cap bytes; the caller frees p. */
struct bytes box_read(struct box *b, uint64_t index, size_t cap);
/* mbox_commit until it is done. del, retrieved, restore: maps or NULL. */
int32_t box_commit(struct box *b, const uint8_t *del, const uint8_t *retrieved,
		   const uint8_t *restore, int64_t keep_until_ms);
/* Index of the message whose text holds `part`, or -1; `found`: how many do. */
int64_t box_find(struct box *b, const char *part);
/* Makes the mailbox empty, as every check wants it at first. */
void kit_empty(struct inst *in, unsigned user);
/* Delivers one message (CRLF, not dot-stuffed) to one user, through all steps; a failure ends
 * the check. */
void kit_deliver(struct inst *in, unsigned user, const void *text, size_t n);
void kit_deliver_text(struct inst *in, unsigned user, const char *text);
/* "Subject: <tag> <k>" with a few body lines, n of them, k = 0..n-1. */
void kit_deliver_many(struct inst *in, unsigned user, const char *tag, unsigned n);
/* Octets on the wire of stored bytes; *ret: those bytes, before dot-stuffing (free it). */
size_t kit_wire(struct bytes stored, char **ret);

#endif
