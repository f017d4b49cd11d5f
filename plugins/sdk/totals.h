/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals - what mailboxes hold, remembered: with quotas it is asked for at every RCPT, and counting
 * costs more the more there is.
 *
 * A total is true while the mailbox looks as it did when it was counted (struct sdk_look: what
 * stat(2) says of the files it is made of). A delivery of ours is added, if the mailbox looked so
 * right before. A change within the same tick of the file system's clock as a counting or a
 * delivery (mostly 4 ms) may go unseen where nothing but a time tells of it. So what was counted
 * while that clock stood there is counted again when it has moved, and everything after ten
 * minutes.
 *
 * Threads: any.
 */
#ifndef SDK_TOTALS_H
#define SDK_TOTALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

/* A mailbox: device, inode; then sizes, times, whatever changes with it. Unused words are 0. */
#define SDK_LOOK_BOX 2
#define SDK_LOOK_WORDS 10
struct sdk_look {
	uint64_t word[SDK_LOOK_WORDS];
	bool at_rest; /* a change from now on would look different; not compared */
};

struct sdk_totals;

struct sdk_totals *sdk_totals_new(const struct pm_host *host);
void sdk_totals_free(struct sdk_totals *t);
/* Is anything remembered at all? Without quotas nobody asks, and a delivery need not look. */
bool sdk_totals_used(struct sdk_totals *t);
/* The totals of a mailbox that looks so now; false: count. ret->size is the caller's. */
bool sdk_totals_get(struct sdk_totals *t, const struct sdk_look *now, struct pm_stat *ret);
/* It was counted, and looked so before. */
void sdk_totals_put(struct sdk_totals *t, const struct sdk_look *before, const struct pm_stat *s);
/* A message of so many octets on the wire came in between. after NULL: nobody knows how it looks
 * now. */
void sdk_totals_add(struct sdk_totals *t, const struct sdk_look *before,
		    const struct sdk_look *after, uint64_t octets);

/* Would a change from now on show in this time of a file or directory? */
bool sdk_at_rest(const struct pm_host *host, struct timespec mtime);

#endif
