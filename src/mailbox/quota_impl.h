/* SPDX-License-Identifier: Apache-2.0 */
/* quota_impl - the record of a domain on disk, for quota_domain.c and its tests. */
#ifndef RST_MAILBOX_QUOTA_IMPL_H
#define RST_MAILBOX_QUOTA_IMPL_H

#include "base/statefile.h"

#define QUOTA_MAGIC "rstquota"
#define QUOTA_SLOTS 100

/* A change under way. */
struct quota_slot {
	struct statefile_owner owner; /* pid 0: free */
	uint64_t octets;
	uint32_t msgs;
	int32_t sign;
};

struct quota_record {
	struct statefile_head head;
	uint64_t octets, msgs, changes;
	uint64_t boot; /* statefile_boot of the last change */
	uint32_t doubtful;
	uint32_t pad;
	struct quota_slot slots[QUOTA_SLOTS];
};
_Static_assert(sizeof(struct quota_record) <= STATEFILE_MAX, "one page");

#endif
