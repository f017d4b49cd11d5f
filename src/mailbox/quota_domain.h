/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_domain - what the mailboxes of a domain hold together, for stores that do not count it
 * themselves; quota.h tells when each of these is called. Threads: any; the file's lock orders
 * them.
 */
#ifndef RST_MAILBOX_QUOTA_DOMAIN_H
#define RST_MAILBOX_QUOTA_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "mailbox/quota.h"

#define QUOTA_UNKNOWN UINT64_MAX

/* Can this domain have a file of its name? */
bool quota_domain_name_ok(const char *domain);

/* A change of a domain's count that is under way. Zeroed by the caller; lives in the recipient's
 * record. */
struct quota_hold {
	char domain[256]; /* "": nothing is held */
	uint64_t octets, msgs;
	int32_t sign; /* +1: taken already; -1: to be subtracted */
	int32_t slot; /* of the file's list of what is under way; -1: no room there */
};

/* Takes one message and its octets, if the domain's limits allow. PM_OK (also when nothing is
 * counted), PM_QUOTA with a text, PM_TEMP (the file cannot be written; text for the log). */
int32_t quota_domain_take(const struct conf *c, const struct quota_limits *l, uint64_t octets,
			  struct quota_hold *h, char *ret_text);
/* Says that msgs messages are about to be deleted or hidden. Cannot fail: without the file the
 * count becomes doubtful. octets QUOTA_UNKNOWN: it becomes doubtful, too. */
void quota_domain_drop(const struct conf *c, const struct quota_limits *l, uint64_t octets,
		       uint64_t msgs, struct quota_hold *h);
/* Takes them whatever the limits say: what is brought back, and a warning about a full mailbox.
 * PM_OK or PM_TEMP, as above. */
int32_t quota_domain_take_anyway(const struct conf *c, const struct quota_limits *l,
				 uint64_t octets, uint64_t msgs, struct quota_hold *h,
				 char *ret_text);
/* What the commit came to. PM_OK: the change counts. PM_UNKNOWN, PM_PARTIAL: it may, or some of
 * it: the count becomes doubtful. All else: nothing has changed, as with give_back. An empty
 * hold: nothing happens; so for give_back. */
void quota_domain_end(const struct conf *c, struct quota_hold *h, int32_t rc);
/* It did not come to a commit: nothing has changed. */
void quota_domain_give_back(const struct conf *c, struct quota_hold *h);

struct quota_usage {
	uint64_t octets, msgs;
	uint64_t changes; /* counts up with every change */
	uint32_t under_way;
	/* a process was killed, or the file was damaged, or never counted: recount */
	bool doubtful;
};
/* PM_OK; PM_NOENT: never counted; PM_TEMP: the file cannot be read. */
int32_t quota_domain_get(const struct conf *c, const char *domain, struct quota_usage *ret);
/* Replaces the count by what the mailboxes hold. changes: quota_usage.changes before the
 * mailboxes were counted. PM_AGAIN: something changed since, or is under way, and nobody knows
 * whether it was counted with the mailboxes: count again. last: then this is the count all the
 * same, and doubtful. */
int32_t quota_domain_set(const struct conf *c, const char *domain, uint64_t changes, bool last,
			 uint64_t octets, uint64_t msgs);
/* A domain this process found doubtful, and forgets now. False: none. */
bool quota_domain_doubtful(char ret_domain[256]);
/* Calls fn for each counted domain; false from fn ends it. */
void quota_domain_each(const struct conf *c, bool (*fn)(const char *domain, void *ctx), void *ctx);

#endif
