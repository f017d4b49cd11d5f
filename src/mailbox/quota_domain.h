/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_domain - the usage of a domain's mailboxes together, for stores that do not count domains
 * themselves; quota.h describes when each of these is called. Threads: any; the file's lock orders
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
	int32_t slot; /* in the file's list of changes under way; -1: no room there */
};

/* Takes one message and its octets, if the domain's limits allow. PM_OK (also when nothing is
 * counted), PM_QUOTA with a text, PM_TEMP (the file cannot be written; text for the log). */
int32_t quota_domain_take(const struct conf *c, const struct quota_limits *l, uint64_t octets,
			  struct quota_hold *h, char *ret_text);
/* Announces that msgs messages will be deleted or hidden. Cannot fail: without the file the count
 * becomes doubtful. octets QUOTA_UNKNOWN: it becomes doubtful, too. */
void quota_domain_drop(const struct conf *c, const struct quota_limits *l, uint64_t octets,
		       uint64_t msgs, struct quota_hold *h);
/* Takes them whatever the limits: for restored messages, and a warning about a full mailbox. PM_OK
 * or PM_TEMP, as above. */
int32_t quota_domain_take_anyway(const struct conf *c, const struct quota_limits *l,
				 uint64_t octets, uint64_t msgs, struct quota_hold *h,
				 char *ret_text);
/* Ends a hold by the result of the commit. PM_OK: the change counts. PM_UNKNOWN, PM_PARTIAL: it
 * may, or part of it: the count becomes doubtful. Any other code: nothing has changed, as with
 * give_back. An empty hold: nothing happens; so for give_back. */
void quota_domain_end(const struct conf *c, struct quota_hold *h, int32_t rc);
/* There was no commit: nothing has changed. */
void quota_domain_give_back(const struct conf *c, struct quota_hold *h);

struct quota_usage {
	uint64_t octets, msgs;
	uint64_t changes; /* grows with every change */
	uint32_t under_way;
	/* a process was killed, or the file was damaged, or never counted: recount */
	bool doubtful;
};
/* PM_OK; PM_NOENT: never counted; PM_TEMP: the file cannot be read. */
int32_t quota_domain_get(const struct conf *c, const char *domain, struct quota_usage *ret);
/* Replaces the count by the sum of the mailboxes. changes: quota_usage.changes before the mailboxes
 * were counted. PM_AGAIN: something changed since, or is under way, and nobody knows whether it was
 * counted with the mailboxes: count again. last: then this is the count all the same, and
 * doubtful. */
int32_t quota_domain_set(const struct conf *c, const char *domain, uint64_t changes, bool last,
			 uint64_t octets, uint64_t msgs);
/* Takes a domain off the list of those that this process found doubtful. False: none. */
bool quota_domain_doubtful(char ret_domain[256]);
/* Calls fn for each counted domain; false from fn ends it. */
void quota_domain_each(const struct conf *c, bool (*fn)(const char *domain, void *ctx), void *ctx);

#endif
