/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion: exactly what was committed, and nothing without a commit. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

/* Is exactly this message there once, or not at all? Deliveries of kit_deliver_many end their subject in a dot. */
static bool
there(struct box *b, const char *tag, unsigned k)
{
	char subject[80];

	snprintf(subject, sizeof(subject), "Subject: %s %u.\r", tag, k);
	if (box_find(b, subject) >= 0)
		return true;
	snprintf(subject, sizeof(subject), "Subject: %s %u.\n", tag, k);
	return box_find(b, subject) >= 0;
}

static void
expect_left(struct inst *in, const char *tag, unsigned n, bool (*kept)(unsigned k))
{
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	unsigned expected = 0;

	for (unsigned k = 0; k < n; k++) {
		EXPECT(there(&b, tag, k) == kept(k), "message %u %s", k,
		       kept(k) ? "is gone and was not deleted" : "is there again and was deleted");
		expected += kept(k);
	}
	EXPECT(b.n == expected, "%llu messages are left, expected %u", (unsigned long long)b.n, expected);
	box_close(&b);
}

static bool
all_kept(unsigned k)
{
	(void)k;
	return true;
}

static bool
none_kept(unsigned k)
{
	(void)k;
	return false;
}

static bool
third_gone(unsigned k)
{
	return k % 3 != 1;
}

static bool
even_kept(unsigned k)
{
	return k % 2 == 0;
}

/* Ready with n messages, the mailbox open. */
static struct box
begin(struct inst *in, const char *tag, unsigned n)
{
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, tag, n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == n, "%u messages were delivered, %llu are there", n, (unsigned long long)b.n);
	return b;
}

/* The messages of the snapshot that `kept` says no to. Their order is the store's, so they are looked up. */
static void
choose(struct box *b, const char *tag, unsigned n, bool (*kept)(unsigned k), uint8_t *del)
{
	for (unsigned k = 0; k < n; k++) {
		char part[80];
		int64_t i;

		snprintf(part, sizeof(part), "Subject: %s %u.", tag, k);
		if (kept(k))
			continue;
		i = box_find(b, part);
		EXPECT(i >= 0, "message %u is not in the snapshot", k);
		map_set(del, (uint64_t)i);
	}
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void
not_without(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "keep", 5);

	free(box_read(&b, 0, 4096).p);
	box_close(&b);
	expect_left(in, "keep", 5, all_kept);
	kit_close(in);
}

static void
exactly(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "exact", 25);
	uint8_t del[4] = {0};

	choose(&b, "exact", 25, third_gone, del);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	expect_left(in, "exact", 25, third_gone);
	kit_close(in);
}

static void
everything(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "all", 17);
	uint8_t del[3] = {0xff, 0xff, 0xff}; /* bits behind the last message mean nothing */

	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	expect_left(in, "all", 17, none_kept);
	kit_close(in);
}

static void
nothing(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "nothing", 9);
	uint8_t del[2] = {0};

	expect_rc("mbox_commit of an empty map", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_commit without maps", box_commit(&b, NULL, NULL, NULL, 0), PM_OK);
	box_close(&b);
	expect_left(in, "nothing", 9, all_kept);
	kit_close(in);
}

static void
wrong_count(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "count", 9);
	uint8_t del[2] = {0xff, 0xff};
	static const uint64_t counts[] = {0, 8, 10, UINT64_MAX};

	for (int k = 0; k < 4; k++) {
		struct pm_commit c = {.size = sizeof(c), .n = counts[k], .del = del};
		uint64_t done = 4711;
		int32_t rc;

		while ((rc = in->m->storage->mbox_commit(b.h, pm(), &c, &done)) == PM_AGAIN)
			;
		expect_rc("mbox_commit with another number of messages", rc, PM_INVALID);
		EXPECT(done == 4711, "PM_INVALID, and *ret_done was written to");
	}
	box_close(&b);
	expect_left(in, "count", 9, all_kept);
	kit_close(in);
}

static void
readonly(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "readonly", 3);
	uint8_t del[1] = {0xff};

	box_close(&b);
	b = box_open(in, 0, PM_OPEN_READONLY);
	expect_rc("mbox_commit without the lock", box_commit(&b, del, NULL, NULL, 0), PM_INVALID);
	box_close(&b);
	expect_left(in, "readonly", 3, all_kept);
	kit_close(in);
}

/* The same op_id again: the answer may have been lost. */
static void
repeated(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "again", 8);
	uint8_t del[1] = {0};
	struct pm_commit c = {.size = sizeof(c), .n = 8, .del = del};
	uint8_t id[16];
	uint64_t done;
	int32_t rc;

	EXPECT(getrandom(id, sizeof(id), 0) == sizeof(id), "getrandom failed");
	choose(&b, "again", 8, even_kept, del);
	for (int k = 0; k < 3; k++) {
		do {
			struct host_call *call = kit_call();

			memcpy(call->pm.op_id, id, sizeof(id));
			done = 0;
			rc = in->m->storage->mbox_commit(b.h, &call->pm, &c, &done);
		} while (rc == PM_AGAIN);
		expect_rc(k ? "the same mbox_commit again" : "mbox_commit", rc, PM_OK);
	}
	box_close(&b);
	expect_left(in, "again", 8, even_kept);
	kit_close(in);
}

static void
keeps_lock(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "lock", 2), other;
	uint8_t del[1] = {1};

	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	expect_rc("mbox_open between mbox_commit and mbox_close", box_try(in, 0, PM_OPEN_EXCLUSIVE, &other), PM_BUSY);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_close(&b);
	kit_close(in);
}

/* Mail that came during the session was never seen: it cannot have been deleted. */
static void
late_mail_stays(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "early", 4);
	uint8_t del[1] = {0xff};

	kit_deliver_many(in, 0, "late", 3);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	kit_deliver_many(in, 0, "later", 2);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 5, "5 messages came during the session, %llu are there", (unsigned long long)b.n);
	for (unsigned k = 0; k < 4; k++)
		EXPECT(!there(&b, "early", k), "message %u was deleted and is there", k);
	box_close(&b);
	kit_close(in);
}

static void
many(void)
{
	enum { N = 1500 };
	struct inst *in = kit_open();
	static uint8_t del[N / 8 + 1];
	struct box b;

	kit_empty(in, 0);
	for (unsigned k = 0; k < N; k++)
		kit_deliver_text(in, 0, "Subject: one of many\r\n\r\nx\r\n");
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == N, "%d messages were delivered, %llu are there", N, (unsigned long long)b.n);
	for (unsigned k = 0; k < N; k++)
		if (k % 5)
			map_set(del, k);
	expect_rc("mbox_commit of 1,200 deletions", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == N / 5, "%d messages are expected to be left, there are %llu", N / 5, (unsigned long long)b.n);
	box_close(&b);
	kit_empty(in, 0);
	kit_close(in);
}

/* PM_OK is durable: the process ends there and then. */
static int
commit_and_die(void *arg)
{
	struct inst *in = kit_open();
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	uint8_t del[1] = {0};

	(void)arg;
	choose(&b, "die", 6, even_kept, del);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	kill(getpid(), SIGKILL);
	return 1;
}

static void
durable(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "die", 6);
	int rc;

	box_close(&b);
	kit_close(in); /* a module's threads would not be in the new process */
	rc = kit_join(kit_fork(commit_and_die, NULL));
	EXPECT(rc == 128 + SIGKILL, "the committing process ended with %d", rc);
	in = kit_open();
	b = box_open_dead(in, 0);
	box_close(&b);
	expect_left(in, "die", 6, even_kept);
	kit_close(in);
}

/* ---- marks, hiding --------------------------------------------------------------------------- */

static void
marks(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "mark", 4);
	uint8_t seen[1] = {0};
	int64_t second;

	second = box_find(&b, "Subject: mark 2.");
	map_set(seen, (uint64_t)second);
	EXPECT(box_one(&b, (uint64_t)second, PM_WANT_DATES).first_retrieved_ms == 0, "a new message counts as retrieved");
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
		EXPECT((first != 0) == (k == 2), "message %u: first_retrieved_ms is %lld", k, (long long)first);
		EXPECT(first == 0 || (first > 1600000000000 && first < (int64_t)(time(NULL) + 60) * 1000),
		       "first_retrieved_ms %lld is not UTC milliseconds", (long long)first);
	}
	box_close(&b);
	kit_close(in);
}

static void
hide(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "hide", 5);
	int64_t until = ((int64_t)time(NULL) + 86400) * 1000;
	uint8_t del[1] = {0}, back[1] = {0};
	unsigned hidden = 0;

	choose(&b, "hide", 5, even_kept, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, until), PM_OK);
	box_close(&b);
	expect_left(in, "hide", 5, even_kept);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 5, "with the hidden ones there are %llu of 5 messages", (unsigned long long)b.n);
	for (uint64_t k = 0; k < 5; k++) {
		if (!(box_one(&b, k, PM_WANT_META).flags & PM_MSG_HIDDEN))
			continue;
		hidden++;
		map_set(back, k);
	}
	EXPECT(hidden == 2, "%u messages are flagged hidden, expected 2", hidden);
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, back, 0), PM_OK);
	box_close(&b);
	expect_left(in, "hide", 5, all_kept);
	kit_close(in);
}

/* The n messages of tag; those `kept` says no to are hidden until then. */
static struct inst *
begin_hidden(const char *tag, unsigned n, bool (*kept)(unsigned k), int64_t until_ms)
{
	struct inst *in = kit_open();
	struct box b = begin(in, tag, n);
	uint8_t del[4] = {0};

	choose(&b, tag, n, kept, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, until_ms), PM_OK);
	box_close(&b);
	return in;
}

static int64_t
in_a_day(void)
{
	return ((int64_t)time(NULL) + 86400) * 1000;
}

/* Hidden mail is not in the mailbox, but its totals are told. */
static void
hidden_totals(void)
{
	struct inst *in = begin_hidden("sum", 6, even_kept, in_a_day());
	struct pm_user u = kit_user(0);
	struct pm_stat s = {.size = sizeof(s)};

	expect_rc("box_stat", in->m->storage->box_stat(in->i, pm(), &u, &s), PM_OK);
	EXPECT(s.count == 3 && s.hidden == 3, "box_stat says %llu messages and %llu hidden ones, expected 3 and 3",
	       (unsigned long long)s.count, (unsigned long long)s.hidden);
	EXPECT(s.octets > 0 && s.hidden_octets > 0, "box_stat says %llu octets and %llu hidden ones",
	       (unsigned long long)s.octets, (unsigned long long)s.hidden_octets);
	kit_close(in);
}

/* Their unique-ids are theirs, hidden or not. */
static void
hidden_uidls(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "name", 5);
	struct pm_msg before[5], after[5];
	uint8_t del[1] = {0}, back[1] = {0xff};

	box_info(&b, 0, 5, PM_WANT_UIDL, before);
	choose(&b, "name", 5, even_kept, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, in_a_day()), PM_OK);
	box_close(&b);
	kit_deliver_many(in, 0, "later", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 6, "with the hidden ones there are %llu of 6 messages", (unsigned long long)b.n);
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, back, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 6, "after restoring there are %llu of 6 messages", (unsigned long long)b.n);
	box_info(&b, 0, 5, PM_WANT_UIDL, after);
	for (int k = 0; k < 5; k++)
		EXPECT(before[k].uidl_len == after[k].uidl_len &&
			       memcmp(before[k].uidl, after[k].uidl, before[k].uidl_len) == 0,
		       "message %d had %.*s and has %.*s", k, (int)before[k].uidl_len, before[k].uidl,
		       (int)after[k].uidl_len, after[k].uidl);
	box_close(&b);
	kit_close(in);
}

/* Brought back, its age begins anew. */
static void
restored_unmarked(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "again", 2);
	uint8_t both[1] = {3};

	expect_rc("mbox_commit with marks", box_commit(&b, NULL, both, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_commit that hides", box_commit(&b, both, NULL, NULL, in_a_day()), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2 && box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms != 0, "hidden messages are not marked any more");
	both[0] = 1;
	expect_rc("mbox_commit that restores", box_commit(&b, NULL, NULL, both, 0), PM_OK);
	box_close(&b);
	for (int k = 0; k < 2; k++) {
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 1, "one of two was restored, and there are %llu", (unsigned long long)b.n);
		EXPECT(box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms == (k ? (int64_t)1700000000000 : 0),
		       "it is marked as retrieved at %lld", (long long)box_one(&b, 0, PM_WANT_DATES).first_retrieved_ms);
		if (k == 0) {
			struct pm_commit c = {.size = sizeof(c), .n = 1, .retrieved = both, .now_ms = 1700000000000};
			uint64_t done = 0;

			while (in->m->storage->mbox_commit(b.h, pm(), &c, &done) == PM_AGAIN)
				;
		}
		box_close(&b);
	}
	kit_close(in);
}

/* A time that is over is a deletion. */
static void
hidden_over(void)
{
	struct inst *in = begin_hidden("over", 4, even_kept, ((int64_t)time(NULL) - 10) * 1000);
	struct box b;

	expect_left(in, "over", 4, even_kept);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2, "hidden until ten seconds ago, and there are %llu messages, expected 2", (unsigned long long)b.n);
	box_close(&b);
	expect_left(in, "over", 4, even_kept);
	kit_close(in);
}

/* An undo that ends: hidden mail can be deleted for good. */
static void
hidden_deleted(void)
{
	struct inst *in = begin_hidden("good", 4, even_kept, in_a_day());
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	uint8_t del[1] = {0};

	for (uint64_t k = 0; k < b.n; k++)
		if (box_one(&b, k, PM_WANT_META).flags & PM_MSG_HIDDEN)
			map_set(del, k);
	expect_rc("mbox_commit that deletes what was hidden", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 2, "deleted for good, and there are %llu messages, expected 2", (unsigned long long)b.n);
	box_close(&b);
	expect_left(in, "good", 4, even_kept);
	kit_close(in);
}

static int
hide_and_die(void *arg)
{
	struct inst *in = kit_open();
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	uint8_t del[1] = {0};

	(void)arg;
	choose(&b, "dark", 6, even_kept, del);
	expect_rc("mbox_commit that hides", box_commit(&b, del, NULL, NULL, in_a_day()), PM_OK);
	kill(getpid(), SIGKILL);
	return 1;
}

static void
hidden_durable(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "dark", 6);
	int rc;

	box_close(&b);
	kit_close(in); /* as in durable() */
	rc = kit_join(kit_fork(hide_and_die, NULL));
	EXPECT(rc == 128 + SIGKILL, "the hiding process ended with %d", rc);
	in = kit_open();
	b = box_open_dead(in, 0);
	box_close(&b);
	expect_left(in, "dark", 6, even_kept);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN);
	EXPECT(b.n == 6, "with the hidden ones there are %llu of 6 messages", (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* The first time counts: expiry goes by it. */
static void
marks_stay(void)
{
	struct inst *in = kit_open();
	struct box b = begin(in, "first", 1);
	uint8_t seen[1] = {1};
	struct pm_commit c = {.size = sizeof(c), .n = 1, .retrieved = seen, .now_ms = 1700000000000};
	uint64_t done = 0;
	int32_t rc;

	while ((rc = in->m->storage->mbox_commit(b.h, pm(), &c, &done)) == PM_AGAIN)
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
	b = begin(in, "nohide", 3);
	expect_rc("mbox_commit with keep_until_ms", box_commit(&b, del, NULL, NULL, INT64_MAX / 2), PM_UNSUPPORTED);
	box_close(&b);
	expect_left(in, "nohide", 3, all_kept);
	kit_close(in);
}

const struct check checks_commit[] = {
	{"commit.none", "mbox_close", "without a commit nothing is deleted", NEED_DELIVERY, not_without},
	{"commit.exact", "mbox_commit", "exactly the messages of the map", NEED_DELIVERY, exactly},
	{"commit.all", "mbox_commit", "all of them; bits behind the last mean nothing", NEED_DELIVERY, everything},
	{"commit.empty", "mbox_commit", "an empty map and no map delete nothing", NEED_DELIVERY, nothing},
	{"commit.count", "mbox_commit; R5", "another n than the snapshot's: PM_INVALID, nothing changed", NEED_DELIVERY,
	 wrong_count},
	{"commit.readonly", "mbox_commit", "without the lock: PM_INVALID, nothing changed", NEED_DELIVERY, readonly},
	{"commit.repeated", "mbox_commit", "the same op_id may be repeated", NEED_DELIVERY, repeated},
	{"commit.lock", "mbox_commit", "the lock stays held until mbox_close", NEED_DELIVERY, keeps_lock},
	{"commit.late-mail", "mbox_commit", "mail that came meanwhile stays", NEED_DELIVERY, late_mail_stays},
	{"commit.many", "mbox_commit; R7", "1,200 of 1,500 messages, in slices", NEED_DELIVERY, many},
	{"commit.durable", "mbox_commit", "PM_OK holds when the process dies at once", NEED_DELIVERY | NEED_SHARED, durable},
	{"commit.marks", "PM_F_CAN_MARK", "retrieved messages are marked, the others not", NEED_DELIVERY | NEED_MARK, marks},
	{"commit.hide", "PM_F_CAN_HIDE", "hidden, flagged, and restored", NEED_DELIVERY | NEED_HIDE, hide},
	{"commit.marks-stay", "PM_F_CAN_MARK", "the first retrieval counts", NEED_DELIVERY | NEED_MARK, marks_stay},
	{"commit.hide-totals", "PM_F_CAN_HIDE; box_stat", "hidden messages are totalled apart",
	 NEED_DELIVERY | NEED_HIDE | NEED_STAT, hidden_totals},
	{"commit.hide-uidls", "PM_F_CAN_HIDE", "unique-ids are the same before, while and after hiding",
	 NEED_DELIVERY | NEED_HIDE, hidden_uidls},
	{"commit.restore-marks", "pm_commit.restore", "what is restored was never retrieved, and can be marked again",
	 NEED_DELIVERY | NEED_HIDE | NEED_MARK, restored_unmarked},
	{"commit.hide-over", "keep_until_ms", "when it is over they are gone, also for PM_OPEN_HIDDEN",
	 NEED_DELIVERY | NEED_HIDE, hidden_over},
	{"commit.hide-delete", "PM_F_CAN_HIDE", "hidden messages can be deleted for good", NEED_DELIVERY | NEED_HIDE,
	 hidden_deleted},
	{"commit.hide-durable", "PM_F_CAN_HIDE", "PM_OK holds when the process dies at once",
	 NEED_DELIVERY | NEED_HIDE | NEED_SHARED, hidden_durable},
	{"commit.cannot-hide", "PM_F_CAN_HIDE", "not claimed: PM_UNSUPPORTED, nothing changed", NEED_DELIVERY, cannot_hide},
	{0},
};
