/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals - what mailboxes hold, remembered: with quotas it is asked for at every RCPT, and counting
 * costs more the more there is.
 *
 * A total is true while the mailbox looks as it did when it was counted (struct sdk_look: what
 * stat(2) says of the files it is made of). A delivery of ours is added, if the mailbox looked so
 * right before; deliveries of ours to one mailbox go one after another between their two looks, or
 * each would take the other's for a stranger's. A change within the same tick of the file system's
 * clock as a counting or a delivery (mostly 4 ms) may go unseen where nothing but a time tells of
 * it. So what was counted while that clock stood there is counted again when it has moved, and
 * everything after ten minutes.
 *
 * A mailbox is counted by one at a time, in slices; whoever asks meanwhile waits for it and goes on
 * with it. What is delivered meanwhile is noted, and added unless the count has seen it: a mailbox
 * that mail never ceases to come to is counted once.
 *
 * Threads: any. Nothing is held over a count or a delivery but the mailbox' own turn.
 */
#ifndef SDK_TOTALS_H
#define SDK_TOTALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

/* Which mailbox: device and inode, or a hash of its path. */
struct sdk_box {
	uint64_t word[2];
};

/* What it looks like: sizes, times, whatever changes with it. Unused words are 0. */
#define SDK_LOOK_WORDS 10
struct sdk_look {
	uint64_t word[SDK_LOOK_WORDS];
	bool at_rest; /* a change from now on would look different; not compared */
};

/* How a mailbox is counted. */
struct sdk_count {
	void *ctx;
	struct sdk_look (*look)(void *ctx);
	/* A slice of it (R7). *work is NULL at first and kept until the next one, whoever makes
	 * that; it ends with sdk_totals_new's work_free. PM_OK: *ret is what the mailbox held at
	 * some moment since the first one. PM_AGAIN, or why not. */
	int32_t (*slice)(void *ctx, void **work, struct pm_stat *ret);
	/* After PM_OK: is a message in *ret that was delivered since the first slice? By the name
	 * that sdk_totals_hold was given. */
	bool (*saw)(void *work, const char *name);
	/* What is remembered, and a count that is under way, are of no use: begin anew
	 * (PM_CALLF_RECOUNT). For one call; who asks again goes on with that count. */
	bool anew;
};

struct sdk_totals;
struct sdk_total; /* of one mailbox */

struct sdk_totals *sdk_totals_new(const struct pm_host *host, void (*work_free)(void *work));
void sdk_totals_free(struct sdk_totals *t);
/* Is anything remembered at all? Without quotas nobody asks, and a delivery need not look. */
bool sdk_totals_used(struct sdk_totals *t);
/* What the mailbox holds: remembered, or by a slice of a count. PM_OK; PM_AGAIN: ask again; what
 * slice() failed with. *ret is set by PM_OK, but for its size. */
int32_t sdk_totals_ask(struct sdk_totals *t, const struct sdk_box *box,
		       const struct sdk_count *count, struct pm_stat *ret);
/* Before a delivery becomes visible: its turn, for as short as can be. name: how count->saw knows
 * it; borrowed until the release. NULL: nobody asked for this mailbox; then there is nothing to
 * look at. */
struct sdk_total *sdk_totals_hold(struct sdk_totals *t, const struct sdk_box *box,
				  const char *name);
/* It is visible: a message of so many octets on the wire. after NULL: nobody knows how the mailbox
 * looks now. before NULL: it did not come to it. */
void sdk_totals_release(struct sdk_totals *t, struct sdk_total *held, const struct sdk_look *before,
			const struct sdk_look *after, uint64_t octets);
/* Now and then: lets go of counts that nobody came back to. */
void sdk_totals_tidy(struct sdk_totals *t);

/* Would a change from now on show in this time of a file or directory? */
bool sdk_at_rest(const struct pm_host *host, struct timespec mtime);

#endif
