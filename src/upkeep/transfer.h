/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer - messages of one user go from one store to another, inside an errand: copied, made sure
 * of, then deleted.
 *
 * Copying takes no lock: a session may be at work meanwhile. Then both are locked: only what is in
 * the other mailbox by then, under its unique-id, and is still to go, is deleted from the first. So
 * a message is always in one of them at least; killed anywhere, it may be in both, and the next
 * transfer that takes the same messages ends it. The maildrop is locked last, no longer than the
 * look or the deletion takes, and while no other store is asked. Who is logged in there by then is
 * not waited for: PM_BUSY, the copies stay.
 *
 * A transfer is a part of an errand's context; transfer_step is entered from the errand's run until
 * it is done. One owner. What it holds in memory is TRANSFER_BATCH records and one buffer, however
 * large mailbox and messages are.
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

#define TRANSFER_BATCH 512    /* messages copied before they are made sure of */
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
	/* .store is set: imports and, as `from`, tells hidden messages if it can */
	struct visit visit;
	const struct pm_user *user; /* its record there; borrowed */
};

struct transfer_item;

struct transfer {
	/* set by the caller, the rest zeroed */
	struct conf *conf; /* borrowed: lives as long as the errand */
	struct transfer_side from, to;
	/* of `from`; asked twice; uidl and flags are known */
	bool (*wants)(const struct pm_msg *m, void *ctx);
	void *ctx;
	bool to_maildrop;           /* `to` is the one that clients open; else `from` is */
	int64_t first_retrieved_ms; /* what the copies say; 0: never retrieved */
	/* of `to`: the copies count to its domain; NULL: they do not */
	const struct quota_limits *count;
	/* result, when transfer_step returns anything but PM_AGAIN */
	/* PM_OK; PM_BUSY, PM_NOSPACE, PM_TEMP ...: what had been moved stays moved */
	int32_t rc;
	uint64_t copies, copied_octets; /* brought over */
	uint64_t messages, octets;      /* ... and deleted from the first */
	char text[PM_ERROR_MAX + 128];
	/* own */
	enum transfer_phase phase, next; /* next: after TRANSFER_CLEAN */
	struct transfer_item *items;
	size_t n, i; /* of items; the one that is being copied */
	bool looked; /* what is in `to` is known */
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
/* PM_AGAIN: it waits, or its slice is over; else done, rc the same as m->rc, and nothing is
 * held. */
int32_t transfer_step(struct transfer *m, struct caller *c);
/* Frees what it holds, once it is done. */
void transfer_fini(struct transfer *m);

#endif
