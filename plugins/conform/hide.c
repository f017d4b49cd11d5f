/* SPDX-License-Identifier: Apache-2.0 */
/* The effects of a commit that stay: marks on retrieved messages, and deleted messages that are
 * hidden until their time is over. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kept.h"

static void
hide_marks(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "mark", 4);
	uint8_t seen[1] = {0};
	int64_t second;

	second = box_find(&b, "Subject: mark 2.");
	map_set(seen, (uint64_t)second);
	EXPECT(box_one(&b, (uint64_t)second, PM_WANT_DATES).first_retrieved_ms == 0,
	       "a new message counts as retrieved");
	expect_rc("mbox_commit with marks", box_commit(&b, NULL, seen, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 4, "marking changed the number of messages to %llu", (unsigned long long)b.n);
	for (unsigned k = 0; k < 4; k++) {
		char part[40];
		int64_t i, first;

		snprintf(part, sizeof(part), "Subject: mark %u.", k);
		i = box_find(&b, part);
		EXPECT(i >= 0, "message %u is gone", k);
		first = box_one(&b, (uint64_t)i, PM_WANT_DATES).first_retrieved_ms;
		EXPECT((first != 0) == (k == 2), "message %u: first_retrieved_ms is %lld", k,
		       (long long)first);
		EXPECT(first == 0 ||
			       (first > 1600000000000 && first < (int64_t)(time(NULL) + 60) * 1000),
		       "first_retrieved_ms %lld is not UTC milliseconds", (long long)first);
	}
	box_close(&b);
	kit_close(in);
}

static void
hide_commit(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "hide", 5);
	int64_t until = ((int64_t)time(NULL) + 86400) * 1000;
	uint8_t del[1] = {0}, back[1] = {0};
	unsigned hidden = 0;

	kept_choose(&b, "hide", 5, kept_even, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, until), PM_OK);
	box_close(&b);
	kept_expect(in, "hide", 5, kept_even);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 5, "with the hidden ones there are %llu of 5 messages",
	       (unsigned long long)b.n);
	for (uint64_t k = 0; k < 5; k++) {
		if (!(box_one(&b, k, PM_WANT_META).flags & PM_MSG_HIDDEN))
			continue;
		hidden++;
		map_set(back, k);
	}
	EXPECT(hidden == 2, "%u messages are flagged hidden, expected 2", hidden);
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, back, 0), PM_OK);
	box_close(&b);
	kept_expect(in, "hide", 5, kept_all);
	kit_close(in);
}

/* The n messages of tag; all but the `kept` ones are hidden until that time. */
static struct inst *
begin_hidden(const char *tag, unsigned n, kept_fn *kept, int64_t until_ms)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, tag, n);
	uint8_t del[4] = {0};

	kept_choose(&b, tag, n, kept, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, until_ms), PM_OK);
	box_close(&b);
	return in;
}

static int64_t
in_a_day(void)
{
	return ((int64_t)time(NULL) + 86400) * 1000;
}

/* Hidden mail is not in the mailbox, but its totals are reported. */
static void
hidden_totals(void)
{
	struct inst *in = begin_hidden("sum", 6, kept_even, in_a_day());
	struct pm_stat s = {.size = sizeof(s)};

	expect_rc("box_stat", box_totals(in, 0, &s), PM_OK);
	EXPECT(s.count == 3 && s.hidden == 3,
	       "box_stat says %llu messages and %llu hidden ones, expected 3 and 3",
	       (unsigned long long)s.count, (unsigned long long)s.hidden);
	EXPECT(s.octets > 0 && s.hidden_octets > 0,
	       "box_stat says %llu octets and %llu hidden ones", (unsigned long long)s.octets,
	       (unsigned long long)s.hidden_octets);
	kit_close(in);
}

/* Messages keep their unique-ids, hidden or not. */
static void
hidden_uidls(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "name", 5);
	struct pm_msg before[5], after[5];
	uint8_t del[1] = {0}, back[1] = {0xff};

	box_info(&b, 0, 5, PM_WANT_UIDL, before);
	kept_choose(&b, "name", 5, kept_even, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, in_a_day()), PM_OK);
	box_close(&b);
	kit_deliver_many(in, 0, "later", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 6, "with the hidden ones there are %llu of 6 messages",
	       (unsigned long long)b.n);
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, back, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 6, "after restoring there are %llu of 6 messages", (unsigned long long)b.n);
	box_info(&b, 0, 5, PM_WANT_UIDL, after);
	for (int k = 0; k < 5; k++)
		EXPECT(before[k].uidl_len == after[k].uidl_len &&
			       memcmp(before[k].uidl, after[k].uidl, before[k].uidl_len) == 0,
		       "message %d had %.*s and has %.*s", k, (int)before[k].uidl_len,
		       before[k].uidl, (int)after[k].uidl_len, after[k].uidl);
	box_close(&b);
	kit_close(in);
}

/* A restored message's age starts again. */
static void
restored_unmarked(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "again", 2);
	uint8_t both[1] = {3};

	expect_rc("mbox_commit with marks", box_commit(&b, NULL, both, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_commit that hides", box_commit(&b, both, NULL, NULL, in_a_day()), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2 && box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms != 0,
	       "hidden messages are not marked any more");
	both[0] = 1;
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, both, 0), PM_OK);
	box_close(&b);
	for (int k = 0; k < 2; k++) {
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 1, "one of two was restored, and there are %llu",
		       (unsigned long long)b.n);
		EXPECT(box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms ==
			       (k ? (int64_t)1700000000000 : 0),
		       "it is marked as retrieved at %lld",
		       (long long)box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms);
		if (k == 0) {
			struct pm_commit c = {.size = sizeof(c),
					      .n = 1,
					      .retrieved = both,
					      .now_ms = 1700000000000};
			uint64_t done = 0;

			while (in->m->storage->mbox_commit(b.h, kit_pm(), &c, &done) == PM_AGAIN)
				;
		}
		box_close(&b);
	}
	kit_close(in);
}

/* Hidden until a time in the past: deleted. */
static void
hidden_over(void)
{
	struct inst *in = begin_hidden("over", 4, kept_even, ((int64_t)time(NULL) - 10) * 1000);
	struct box b;

	kept_expect(in, "over", 4, kept_even);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2, "hidden until ten seconds ago, and there are %llu messages, expected 2",
	       (unsigned long long)b.n);
	box_close(&b);
	kept_expect(in, "over", 4, kept_even);
	kit_close(in);
}

/* The end of an undo time: hidden mail can be deleted for good. */
static void
hidden_deleted(void)
{
	struct inst *in = begin_hidden("good", 4, kept_even, in_a_day());
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	uint8_t del[1] = {0};

	for (uint64_t k = 0; k < b.n; k++)
		if (box_one(&b, k, PM_WANT_META).flags & PM_MSG_HIDDEN)
			map_set(del, k);
	expect_rc("mbox_commit that deletes what was hidden", box_commit(&b, del, NULL, NULL, 0),
		  PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2, "deleted for good, and there are %llu messages, expected 2",
	       (unsigned long long)b.n);
	box_close(&b);
	kept_expect(in, "good", 4, kept_even);
	kit_close(in);
}

static int
hide_and_die(void *arg)
{
	struct inst *in = kit_open();
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	uint8_t del[1] = {0};

	(void)arg;
	kept_choose(&b, "dark", 6, kept_even, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, in_a_day()), PM_OK);
	kill(getpid(), SIGKILL);
	return 1;
}

static void
hidden_durable(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "dark", 6);
	int rc;

	box_close(&b);
	kit_close(in); /* as in durable() */
	rc = kit_join(kit_fork(hide_and_die, NULL));
	EXPECT(rc == 128 + SIGKILL, "the hiding process ended with %d", rc);
	in = kit_open();
	b = box_open_dead(in, 0);
	box_close(&b);
	kept_expect(in, "dark", 6, kept_even);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 6, "with the hidden ones there are %llu of 6 messages",
	       (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* The first time counts: expiry goes by it. */
static void
marks_stay(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "first", 1);
	uint8_t seen[1] = {1};
	struct pm_commit c = {
		.size = sizeof(c), .n = 1, .retrieved = seen, .now_ms = 1700000000000};
	uint64_t done = 0;
	int32_t rc;

	while ((rc = in->m->storage->mbox_commit(b.h, kit_pm(), &c, &done)) == PM_AGAIN)
		;
	expect_rc("mbox_commit with a mark", rc, PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_commit with the mark again", box_commit(&b, NULL, seen, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	/* stores may keep seconds */
	EXPECT(box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms / 1000 == 1700000000,
	       "first retrieved at 1700000000, and then again: first_retrieved_ms is %lld",
	       (long long)box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms);
	box_close(&b);
	kit_close(in);
}

static void
cannot_hide(void)
{
	struct inst *in = kit_open();
	struct box b;
	uint8_t del[1] = {0xff};

	if (in->m->flags & PM_F_CAN_HIDE)
		kit_skip("the module can hide");
	b = kept_begin(in, "nohide", 3);
	expect_rc("mbox_commit with keep_until_ms", box_commit(&b, del, NULL, NULL, INT64_MAX / 2),
		  PM_UNSUPPORTED);
	box_close(&b);
	kept_expect(in, "nohide", 3, kept_all);
	kit_close(in);
}

const struct check checks_hide[] = {
	{"commit.marks", "PM_F_CAN_MARK", "retrieved messages are marked, the others not",
	 NEED_DELIVERY | NEED_MARK, hide_marks},
	{"commit.hide", "PM_F_CAN_HIDE", "hidden, flagged, and restored", NEED_DELIVERY | NEED_HIDE,
	 hide_commit},
	{"commit.marks-stay", "PM_F_CAN_MARK", "the first retrieval counts",
	 NEED_DELIVERY | NEED_MARK, marks_stay},
	{"commit.hide-totals", "PM_F_CAN_HIDE; box_stat", "hidden messages are totalled apart",
	 NEED_DELIVERY | NEED_HIDE | NEED_STAT, hidden_totals},
	{"commit.hide-uidls", "PM_F_CAN_HIDE",
	 "unique-ids are the same before, while and after hiding", NEED_DELIVERY | NEED_HIDE,
	 hidden_uidls},
	{"commit.restore-marks", "pm_commit.restore",
	 "a restored message was never retrieved, and can be marked again",
	 NEED_DELIVERY | NEED_HIDE | NEED_MARK, restored_unmarked},
	{"commit.hide-over", "keep_until_ms",
	 "when it is over they are gone, also for PM_OPEN_HIDDEN", NEED_DELIVERY | NEED_HIDE,
	 hidden_over},
	{"commit.hide-delete", "PM_F_CAN_HIDE", "hidden messages can be deleted for good",
	 NEED_DELIVERY | NEED_HIDE, hidden_deleted},
	{"commit.hide-durable", "PM_F_CAN_HIDE", "PM_OK holds when the process dies at once",
	 NEED_DELIVERY | NEED_HIDE | NEED_SHARED, hidden_durable},
	{"commit.cannot-hide", "PM_F_CAN_HIDE", "not claimed: PM_UNSUPPORTED, nothing changed",
	 NEED_DELIVERY, cannot_hide},
	{0},
};
