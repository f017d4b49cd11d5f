/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion: exactly what was committed, and nothing without a commit. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "kept.h"

static void
not_without(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "keep", 5);

	free(box_read(&b, 0, 4096).p);
	box_close(&b);
	kept_expect(in, "keep", 5, kept_all);
	kit_close(in);
}

static void
commit_exactly(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "exact", 25);
	uint8_t del[4] = {0};

	kept_choose(&b, "exact", 25, kept_two_thirds, del);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	kept_expect(in, "exact", 25, kept_two_thirds);
	kit_close(in);
}

static void
commit_everything(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "all", 17);
	uint8_t del[3] = {0xff, 0xff, 0xff}; /* bits after the last message mean nothing */

	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	kept_expect(in, "all", 17, kept_none);
	kit_close(in);
}

static void
commit_nothing(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "nothing", 9);
	uint8_t del[2] = {0};

	expect_rc("mbox_commit of an empty map", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_commit without maps", box_commit(&b, NULL, NULL, NULL, 0), PM_OK);
	box_close(&b);
	kept_expect(in, "nothing", 9, kept_all);
	kit_close(in);
}

static void
wrong_count(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "count", 9);
	uint8_t del[2] = {0xff, 0xff};
	static const uint64_t counts[] = {0, 8, 10, UINT64_MAX};

	for (int k = 0; k < 4; k++) {
		struct pm_commit c = {.size = sizeof(c), .n = counts[k], .del = del};
		uint64_t done = 4711;
		int32_t rc;

		while ((rc = in->m->storage->mbox_commit(b.h, kit_pm(), &c, &done)) == PM_AGAIN)
			;
		expect_rc("mbox_commit with another number of messages", rc, PM_INVALID);
		EXPECT(done == 4711, "PM_INVALID, and *ret_done was written to");
	}
	box_close(&b);
	kept_expect(in, "count", 9, kept_all);
	kit_close(in);
}

static void
commit_readonly(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "readonly", 3);
	uint8_t del[1] = {0xff};

	box_close(&b);
	b = box_open(in, 0, PM_OPEN_READONLY);
	expect_rc("mbox_commit without the lock", box_commit(&b, del, NULL, NULL, 0), PM_INVALID);
	box_close(&b);
	kept_expect(in, "readonly", 3, kept_all);
	kit_close(in);
}

/* The same op_id again: the answer may have been lost. */
static void
commit_repeated(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "again", 8);
	uint8_t del[1] = {0};
	struct pm_commit c = {.size = sizeof(c), .n = 8, .del = del};
	uint8_t id[16];
	uint64_t done;
	int32_t rc;

	EXPECT(getrandom(id, sizeof(id), 0) == sizeof(id), "getrandom failed");
	kept_choose(&b, "again", 8, kept_even, del);
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
	kept_expect(in, "again", 8, kept_even);
	kit_close(in);
}

static void
keeps_lock(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "lock", 2), other;
	uint8_t del[1] = {1};

	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	expect_rc("mbox_open between mbox_commit and mbox_close",
		  box_try(in, 0, PM_OPEN_EXCLUSIVE, &other), PM_BUSY);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_close(&b);
	kit_close(in);
}

/* Mail that arrived during the session was never seen: it cannot have been deleted. */
static void
late_mail_stays(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "early", 4);
	uint8_t del[1] = {0xff};

	kit_deliver_many(in, 0, "late", 3);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	kit_deliver_many(in, 0, "later", 2);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 5, "5 messages came during the session, %llu are there",
	       (unsigned long long)b.n);
	for (unsigned k = 0; k < 4; k++)
		EXPECT(!kept_there(&b, "early", k), "message %u was deleted and is there", k);
	box_close(&b);
	kit_close(in);
}

static void
commit_many(void)
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
	EXPECT(b.n == N / 5, "%d messages are expected to be left, there are %llu", N / 5,
	       (unsigned long long)b.n);
	box_close(&b);
	kit_empty(in, 0);
	kit_close(in);
}

/* PM_OK is durable: the process ends at that very moment. */
static int
commit_and_die(void *arg)
{
	struct inst *in = kit_open();
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	uint8_t del[1] = {0};

	(void)arg;
	kept_choose(&b, "die", 6, kept_even, del);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	kill(getpid(), SIGKILL);
	return 1;
}

static void
commit_durable(void)
{
	struct inst *in = kit_open();
	struct box b = kept_begin(in, "die", 6);
	int rc;

	box_close(&b);
	kit_close(in); /* a module's threads would not be in the new process */
	rc = kit_join(kit_fork(commit_and_die, NULL));
	EXPECT(rc == 128 + SIGKILL, "the committing process ended with %d", rc);
	in = kit_open();
	b = box_open_dead(in, 0);
	box_close(&b);
	kept_expect(in, "die", 6, kept_even);
	kit_close(in);
}

const struct check checks_commit[] = {
	{"commit.none", "mbox_close", "without a commit nothing is deleted", NEED_DELIVERY,
	 not_without},
	{"commit.exact", "mbox_commit", "exactly the messages of the map", NEED_DELIVERY,
	 commit_exactly},
	{"commit.all", "mbox_commit", "all of them; bits after the last mean nothing",
	 NEED_DELIVERY, commit_everything},
	{"commit.empty", "mbox_commit", "an empty map and no map delete nothing", NEED_DELIVERY,
	 commit_nothing},
	{"commit.count", "mbox_commit; R5",
	 "another n than the snapshot's: PM_INVALID, nothing changed", NEED_DELIVERY, wrong_count},
	{"commit.readonly", "mbox_commit", "without the lock: PM_INVALID, nothing changed",
	 NEED_DELIVERY, commit_readonly},
	{"commit.repeated", "mbox_commit", "the same op_id may be repeated", NEED_DELIVERY,
	 commit_repeated},
	{"commit.lock", "mbox_commit", "the lock stays held until mbox_close", NEED_DELIVERY,
	 keeps_lock},
	{"commit.late-mail", "mbox_commit", "mail that came meanwhile stays", NEED_DELIVERY,
	 late_mail_stays},
	{"commit.many", "mbox_commit; R7", "1,200 of 1,500 messages, in slices", NEED_DELIVERY,
	 commit_many},
	{"commit.durable", "mbox_commit", "PM_OK holds when the process dies at once",
	 NEED_DELIVERY | NEED_SHARED, commit_durable},
	{0},
};
