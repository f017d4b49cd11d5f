/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_state - the state page: totals of both classes, and the step that is under way. */
#ifndef RST_BADMAIL_BADMAIL_STATE_H
#define RST_BADMAIL_BADMAIL_STATE_H

#include <stdint.h>

#include "badmail/badmail_id.h"
#include "base/statefile.h"

#define BADMAIL_STATE_MAGIC "rstbadml"

/* The step that a process was taking under the lock. Taking out has a reason, and each its
 * counters, so that they are right whichever process finishes it. */
enum badmail_pending {
	PENDING_NONE,
	PENDING_INSERT,
	PENDING_REMOVE, /* by an operator, or never promised */
	PENDING_DROP,   /* too many octets */
	PENDING_CROWD,  /* too many items */
	PENDING_EXPIRE, /* over age */
	PENDING_DELIVER /* a retry brought it to its mailboxes */
};

struct badmail_state {
	struct statefile_head head;
	uint64_t boot; /* statefile_boot at the last change; if it is another now, all is counted */
	uint64_t next_id;
	struct {
		uint64_t items, octets;
		uint64_t first; /* no item has a lower ID */
	} cls[2];               /* by enum badmail_class */
	uint64_t dropped, dropped_octets, expired, crowded, delivered, door_closed;
	uint64_t pending_id, pending_octets;
	uint32_t pending, pending_class; /* enum badmail_pending, enum badmail_class */
	/* bit 0: the store is at 80 %; bit 1: RETRY at 80 % of its half */
	uint32_t warned;
	uint32_t pad;
};

#endif
