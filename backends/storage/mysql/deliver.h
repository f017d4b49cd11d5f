/* SPDX-License-Identifier: Apache-2.0 */
/* deliver - a delivery in the making; publish.c makes it mail. */
#ifndef MYSQL_DELIVER_H
#define MYSQL_DELIVER_H

#include "octets.h"
#include "store.h"

struct rcpt {
	struct rcpt *next;
	struct box_row box;
	uint64_t quota_octets, quota_msgs, domain_octets, domain_msgs;
	uint64_t pos;
	int64_t received_ms, first_retrieved_ms;
	int32_t rc;
	bool import; /* it brought its unique-id */
	bool restore;
	uint8_t meta_n, meta[64];
	uint32_t uidl_n;
	char uidl[PM_UIDL_MAX + 2];
	struct pm_str key, domain, head; /* in text */
	char text[];
};

struct dlv {
	struct inst *inst;
	uint32_t flags;
	uint64_t hint;
	struct rcpt *first, **last;
	uint64_t body; /* 0: nothing was written */
	uint64_t bytes;
	uint32_t seq;
	int64_t touched_ms;
	bool begun, prepared, sent;
	bool last_cr, last_lf;
	int32_t failed; /* a write failed: the message is incomplete */
	struct sdk_octets seen;
	size_t n;
	char buf[CHUNK];
};

/* True if this is more than the quota; 0: no quota. */
bool deliver_over(uint64_t used, uint64_t more, uint64_t quota);
/* Checks that this recipient's copy, whose size is known, fits. PM_OK, PM_QUOTA. */
int32_t deliver_check_quota(const struct dlv *v, const struct rcpt *r);
/* Fills one record for each accepted recipient, in their order, as far as it lies inside the
 * caller's record (R1). */
void deliver_fill_results(const struct dlv *v, struct pm_result *ret, size_t stride);

/* Called in or out of a transaction. PM_EXISTS: a message of this imported unique-id is there or,
 * unless it is restored, was. PM_OK: no. */
int32_t deliver_import_there(struct db *d, const struct rcpt *r);

/* Methods of the table, as those of publish.h. */
int32_t deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
		      void **ret_dlv);
int32_t deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt);
int32_t deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n);
int32_t deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret,
			size_t stride);

#endif
