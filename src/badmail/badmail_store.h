/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_store - items on disk, the totals over them, and the bounds. All but
 * badmail_store_retry_full under the lock of the state file.
 */
#ifndef RST_BADMAIL_BADMAIL_STORE_H
#define RST_BADMAIL_BADMAIL_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "badmail/badmail_id.h"
#include "badmail/badmail_state.h"
#include "conf/conf.h"

/* An open store: locked between badmail_store_lock and badmail_store_unlock. One owner. */
struct badmail_store {
	const struct conf_badmail *conf;
	int fd;
	struct badmail_state s;
};

/* Locks, makes directories that are missing, cleans up after a process that died. PM_OK; PM_TEMP,
 * PM_PERM, PM_NOSPACE with a text (200 bytes, may be NULL). */
int32_t badmail_store_lock(const struct conf *c, struct badmail_store *st, char *text);
/* Writes the totals and unlocks. False: they could not be written, and the next caller counts. */
bool badmail_store_unlock(struct badmail_store *st);

/* Makes room, then moves a finished message (hard link) and its sidecar in. Codes and text as
 * above; PM_NOSPACE also for a bound. */
int32_t badmail_store_insert(struct badmail_store *st, enum badmail_class cls, const char *eml,
			     const char *json, uint64_t octets, uint64_t *ret_id, char *text);
/* Takes an item out; why: PENDING_REMOVE or one that follows it. True: it was there and is gone. */
bool badmail_store_remove(struct badmail_store *st, enum badmail_class cls, uint64_t id,
			  enum badmail_pending why);
/* When the oldest item of a class came, UTC ms; 0: there is none. */
int64_t badmail_store_oldest_ms(struct badmail_store *st, enum badmail_class cls);
/* Drops REFUSED items over age, at most `max`. Returns how many. */
unsigned badmail_store_expire(struct badmail_store *st, unsigned max);
/* Would a RETRY item of so many octets pass half of the bound? No lock. */
bool badmail_store_retry_full(const struct conf_badmail *b, const struct badmail_state *s,
			      uint64_t octets);
/* Logs once when the store fills to 80 %, and once when mail that waits comes to 80 % of its half;
 * again only after it was less. */
void badmail_store_warn(struct badmail_store *st);

#endif
