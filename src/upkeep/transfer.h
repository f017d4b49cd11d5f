/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer - moves messages of one user from one store to another, inside an errand: they are
 * copied, the copies are checked, then the originals are deleted.
 *
 * Copying takes no lock: a session may be at work meanwhile. Then both are locked: a message is
 * deleted from the first only if it is in the other mailbox by then, under its unique-id, and is
 * still to go. So a message is always in one of them at least; if the process is killed it may be
 * in both, and the next transfer of the same messages ends that. The maildrop is locked last, no
 * longer than the look or the deletion takes, and while no other store is asked. If its user is
 * logged in by then, or logs in during the look, the transfer gives way: PM_BUSY, the copies stay.
 *
 * A transfer is a part of an errand's context; transfer_step is entered from the errand's run until
 * it is done. One owner. It holds TRANSFER_BATCH records and one buffer in memory, however large
 * the mailbox and its messages are.
 */
#ifndef RST_UPKEEP_TRANSFER_H
#define RST_UPKEEP_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "mailbox/post.h"
#include "mailbox/quota_domain.h"
#include "mailbox/visit.h"
#include "module/caller.h"

#define TRANSFER_BATCH 512    /* messages copied before the copies are checked */
#define TRANSFER_PIECE 262144 /* octets read before they are written */

enum transfer_phase {
	TRANSFER_OPEN,
	TRANSFER_CHOOSE,
	TRANSFER_BEGIN,
	TRANSFER_RCPT,
	TRANSFER_READ,
	TRANSFER_WRITE,
	TRANSFER_PREPARE,
	TRANSFER_COMMIT,
	TRANSFER_LOCK_FROM,
	TRANSFER_LOCK_TO,
	TRANSFER_SEE_TO,
	TRANSFER_LEAVE_TO,
	TRANSFER_SEE_FROM,
	TRANSFER_DELETE,
	TRANSFER_SKIP,
	TRANSFER_CLEAN,
	TRANSFER_DONE
};

struct transfer_side {
	/* .store is set: it imports and, as `from`, shows hidden messages if it can */
	struct visit visit;
	const struct pm_user *user; /* the user's record there; borrowed */
};

struct transfer_item;

struct transfer {
	/* set by the caller, the rest zeroed */
	struct conf *conf; /* borrowed: lives as long as the errand */
	struct transfer_side from, to;
	/* of `from`; called twice; uidl and flags are known */
	bool (*wants)(const struct pm_msg *m, void *ctx);
	void *ctx;
	bool to_maildrop;           /* `to` is the one that clients open; else `from` is */
	int64_t first_retrieved_ms; /* set in the copies; 0: never retrieved */
	/* of `to`: the copies count to its domain; NULL: they do not */
	const struct quota_limits *count;
	/* result, when transfer_step returns anything but PM_AGAIN */
	/* PM_OK; PM_BUSY, PM_NOSPACE, PM_TEMP ...: messages moved so far stay moved */
	int32_t rc;
	uint64_t copies, copied_octets; /* brought over */
	uint64_t messages, octets;      /* ... and deleted from the first */
	char text[PM_ERROR_MAX + 128];
	/* private */
	enum transfer_phase phase, next; /* next: after TRANSFER_CLEAN */
	struct transfer_item *items;
	size_t n, i; /* of items; the one that is being copied */
	bool looked; /* the messages of `to` are known */
	bool more;   /* there may be more to choose */
	struct post post;
	struct quota_hold hold; /* of the copy that is being committed */
	char *buf;
	size_t buf_n, buf_at;
	bool read_all;
	char last; /* octet that was read */
	uint8_t *map;
	uint64_t chosen, chosen_octets;
	int64_t delete_ms; /* when the deletion was begun */
};

/* False: no memory; rc is set. */
bool transfer_begin(struct transfer *m);
/* PM_AGAIN: it waits, or its slice is over; else it is done, rc is that of m->rc, and nothing is
 * held. */
int32_t transfer_step(struct transfer *m, struct caller *c);
/* Frees its memory, once it is done. */
void transfer_fini(struct transfer *m);

#endif
