/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals - remembered totals of mailboxes: with quotas they are asked for at every RCPT, and a
 * count costs the more the more mail there is.
 *
 * A total is valid while the mailbox looks as it did when it was counted (struct sdk_look: stat(2)
 * of the files it is made of). A delivery of ours is added, if the mailbox looked so right before.
 * Our deliveries to one mailbox take turns between their two looks; otherwise each would take the
 * other for a change by a stranger. A change within the same tick of the file system's clock as a
 * count or a delivery (usually 4 ms) may go unseen where only a time shows it. So a count made in
 * such a tick is made again after it, and everything is counted again after ten minutes.
 *
 * A mailbox is counted by one caller at a time, in slices; a caller that asks meanwhile waits and
 * goes on with the count. Deliveries meanwhile are noted, and added unless the count has seen them:
 * a mailbox that gets mail all the time is counted once.
 *
 * Threads: any. During a count or a delivery nothing is held except the mailbox' own turn.
 */
#ifndef SDK_TOTALS_H
#define SDK_TOTALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

/* Identifies a mailbox: device and inode, or a hash of its path. */
struct sdk_box {
	uint64_t word[2];
};

/* The looks of a mailbox: sizes, times, anything that changes with it. Unused words are 0. */
#define SDK_LOOK_WORDS 10
struct sdk_look {
	uint64_t word[SDK_LOOK_WORDS];
	bool at_rest; /* a change from now on would show; not compared */
};

/* The way a mailbox is counted. */
struct sdk_count {
	void *ctx;
	struct sdk_look (*look)(void *ctx);
	/* Makes a slice of a count (R7). *work is NULL at first and kept until the next slice,
	 * whoever makes that; it ends with sdk_totals_new's work_free. PM_OK: *ret is the total of
	 * the mailbox at some moment since the first slice. PM_AGAIN, or a failure. */
	int32_t (*slice)(void *ctx, void **work, struct pm_stat *ret);
	/* After PM_OK: true if *ret includes a message that was delivered since the first slice, by
	 * the name that sdk_totals_hold was given. */
	bool (*saw)(void *work, const char *name);
	/* Ignore the remembered total and a count that is under way: begin again
	 * (PM_CALLF_RECOUNT). For one call; a caller that asks again goes on with that count. */
	bool anew;
};

struct sdk_totals;
struct sdk_total; /* of one mailbox */

struct sdk_totals *sdk_totals_new(const struct pm_host *host, void (*work_free)(void *work));
/* Before the first question: the most mailboxes that are remembered; without it SDK_TOTALS_MOST. Of
 * more of them those that were not asked for and got no mail for the longest time are forgotten,
 * and counted when they are asked for again. */
#define SDK_TOTALS_MOST 16384
void sdk_totals_bound(struct sdk_totals *t, size_t most);
void sdk_totals_free(struct sdk_totals *t);
/* True if anything is remembered at all. Without quotas nobody asks, and a delivery need not look.
 */
bool sdk_totals_used(struct sdk_totals *t);
/* Gives the total of the mailbox: remembered, or by a slice of a count. PM_OK; PM_AGAIN: ask again;
 * or the failure of slice(). *ret is set by PM_OK, except for its size. */
int32_t sdk_totals_ask(struct sdk_totals *t, const struct sdk_box *box,
		       const struct sdk_count *count, struct pm_stat *ret);
/* Takes a delivery's turn before it becomes visible; hold it as briefly as possible. name: the name
 * count->saw knows it by; borrowed until the release. NULL: nobody asked for this mailbox, so there
 * is nothing to look at. */
struct sdk_total *sdk_totals_hold(struct sdk_totals *t, const struct sdk_box *box,
				  const char *name);
/* Ends the turn: a message of so many octets on the wire is visible. after NULL: nobody knows how
 * the mailbox looks now. before NULL: it was not delivered. */
void sdk_totals_release(struct sdk_totals *t, struct sdk_total *held, const struct sdk_look *before,
			const struct sdk_look *after, uint64_t octets);
/* To be called now and then: drops counts that nobody came back to. */
void sdk_totals_tidy(struct sdk_totals *t);

/* True if a change from now on would show in this time of a file or directory. */
bool sdk_at_rest(const struct pm_host *host, struct timespec mtime);

#endif
