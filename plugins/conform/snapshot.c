/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: the snapshot, its records, unique-ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void
unknown_mailbox(void)
{
	struct inst *in = kit_open();
	struct box b;

	if (in->m->storage->box_delete) {
		struct pm_user u = kit_user(90);

		(void)in->m->storage->box_delete(in->i, kit_pm(), &u); /* of an earlier run */
	}
	for (int i = 0; i < 2; i++) {
		b = box_open(in, 90, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 0, "a mailbox nobody delivered to holds %llu messages",
		       (unsigned long long)b.n);
		expect_rc("an empty mbox_commit", box_commit(&b, NULL, NULL, NULL, 0), PM_OK);
		box_close(&b);
	}
	kit_close(in);
}

static void
closed_to_delivery(void)
{
	struct inst *in = kit_open();
	struct box b, later;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "before", 3);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 3, "3 messages were delivered, the snapshot holds %llu",
	       (unsigned long long)b.n);
	kit_deliver_many(in, 0, "after", 2);
	EXPECT(box_find(&b, "Subject: after") == -1, "mail delivered later is in the snapshot");
	box_close(&b);
	later = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(later.n == 5, "the next session sees %llu messages, expected 5",
	       (unsigned long long)later.n);
	box_close(&later);
	kit_close(in);
}

static void
same_order(void)
{
	struct inst *in = kit_open();
	struct pm_msg first[20], again[20];
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "order", 20);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 20, "20 messages were delivered, %llu are there", (unsigned long long)b.n);
	box_info(&b, 0, 20, PM_WANT_UIDL, first);
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_READONLY);
	EXPECT(b.n == 20, "readonly, %llu of 20 messages are there", (unsigned long long)b.n);
	box_info(&b, 0, 20, PM_WANT_UIDL, again);
	box_close(&b);
	for (int k = 0; k < 20; k++)
		EXPECT(memcmp(first[k].uidl, again[k].uidl, sizeof(first[k].uidl)) == 0,
		       "message %d is another one in the next session", k);
	kit_close(in);
}

static void
readonly_beside(void)
{
	struct inst *in = kit_open();
	struct box held, b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "both", 3);
	held = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	b = box_open(in, 0, PM_OPEN_READONLY);
	EXPECT(b.n == 3, "beside a session, readonly, %llu of 3 messages are there",
	       (unsigned long long)b.n);
	free(box_read(&b, 2, 1000).p);
	box_close(&b);
	box_close(&held);
	kit_close(in);
}

/* A message that a session deletes stays in a reader's snapshot: its record is the same, its text
 * is PM_GONE or still there. */
static void
readonly_gone(void)
{
	struct inst *in = kit_open();
	struct pm_msg was[3], is[3];
	uint8_t second = 1 << 1;
	struct box held, b;
	void *msg = NULL;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "stays", 3);
	b = box_open(in, 0, PM_OPEN_READONLY);
	held = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&held, 0, 3, PM_WANT_UIDL | PM_WANT_OCTETS, was);
	expect_rc("mbox_commit", box_commit(&held, &second, NULL, NULL, 0), PM_OK);
	box_close(&held);
	box_info(&b, 0, 3, PM_WANT_UIDL | PM_WANT_OCTETS, is);
	for (int k = 0; k < 3; k++)
		EXPECT(is[k].uidl_len == was[k].uidl_len &&
			       memcmp(is[k].uidl, was[k].uidl, was[k].uidl_len) == 0,
		       "message %d of a reader's snapshot is another one when the second was "
		       "deleted",
		       k);
	while ((rc = in->m->storage->msg_open(b.h, kit_pm(), 1, &msg)) == PM_AGAIN)
		;
	EXPECT(rc == PM_OK || rc == PM_GONE, "the text of a deleted message: %s",
	       host_code_name(rc));
	if (rc == PM_OK)
		in->m->storage->msg_close(msg, kit_pm());
	free(box_read(&b, 2, 1000).p);
	box_close(&b);
	kit_close(in);
}

/* ---- records --------------------------------------------------------------------------------- */

static void
snapshot_range(void)
{
	static struct pm_msg m[PM_SLICE_MAX + 2], before[PM_SLICE_MAX + 2];
	static const struct {
		uint64_t first;
		size_t n;
	} bad[] = {{0, 4},
		   {3, 1},
		   {4, 1},
		   {UINT64_MAX, 1},
		   {UINT64_MAX, 2},
		   {1, SIZE_MAX},
		   {0, PM_SLICE_MAX + 1}};
	struct inst *in = kit_open();
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "range", 3);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		int32_t rc;

		memset(m, 0x55, sizeof(m));
		for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++)
			m[i].size = sizeof(m[0]);
		memcpy(before, m, sizeof(m));
		do
			rc = in->m->storage->mbox_info(b.h, kit_pm(), bad[k].first, bad[k].n,
						       sizeof(m[0]), PM_WANT_OCTETS | PM_WANT_UIDL,
						       m);
		while (rc == PM_AGAIN);
		expect_rc("mbox_info beyond the snapshot", rc, PM_INVALID);
		EXPECT(memcmp(before, m, sizeof(m)) == 0,
		       "PM_INVALID, and the records were written to");
	}
	box_info(&b, 3, 0, PM_WANT_UIDL, m); /* nothing, at the end */
	box_close(&b);
	kit_close(in);
}

static void
snapshot_slices(void)
{
	struct inst *in = kit_open();
	struct pm_msg all[23], part[23];
	static const size_t steps[] = {1, 5, 22};
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "slice", 23);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, 23, PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES, all);
	for (size_t s = 0; s < 3; s++) {
		for (size_t at = 0; at < 23; at += steps[s])
			box_info(&b, at, at + steps[s] > 23 ? 23 - at : steps[s],
				 PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES, part + at);
		for (size_t k = 0; k < 23; k++)
			EXPECT(all[k].octets == part[k].octets &&
				       all[k].received_ms == part[k].received_ms &&
				       memcmp(all[k].uidl, part[k].uidl, 72) == 0,
			       "record %zu differs when asked for in slices of %zu", k, steps[s]);
	}
	box_close(&b);
	kit_close(in);
}

/* A host of a later minor has larger records; a stride may be larger than the record. */
static void
snapshot_stride(void)
{
	enum { N = 5, STEP = sizeof(struct pm_msg) + 40, SIZE = sizeof(struct pm_msg) + 16 };
	struct inst *in = kit_open();
	char raw[N * STEP];
	struct pm_msg plain[N], m;
	struct box b;
	int32_t rc = PM_AGAIN;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "stride", N);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, N, PM_WANT_OCTETS | PM_WANT_UIDL, plain);
	while (rc == PM_AGAIN) {
		memset(raw, 0x77, sizeof(raw));
		for (size_t k = 0; k < N; k++) {
			uint32_t size = SIZE;

			memset(raw + k * STEP, 0, SIZE);
			memcpy(raw + k * STEP, &size, sizeof(size));
		}
		rc = in->m->storage->mbox_info(b.h, kit_pm(), 0, N, STEP,
					       PM_WANT_OCTETS | PM_WANT_UIDL,
					       (struct pm_msg *)(void *)raw);
	}
	expect_rc("mbox_info with larger records", rc, PM_OK);
	for (size_t k = 0; k < N; k++) {
		memcpy(&m, raw + k * STEP, sizeof(m));
		EXPECT(m.size == SIZE, "it changed the size of record %zu", k);
		EXPECT(m.octets == plain[k].octets && memcmp(m.uidl, plain[k].uidl, 72) == 0,
		       "record %zu is not at base + %zu * stride", k, k);
		for (size_t i = SIZE; i < STEP; i++)
			EXPECT(raw[k * STEP + i] == 0x77, "it wrote after record %zu", k);
	}
	box_close(&b);
	kit_close(in);
}

static void
wanted_only(void)
{
	struct inst *in = kit_open();
	struct pm_msg m;
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "want", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, 1, 0, &m); /* nothing: still PM_OK */
	m = box_one(&b, 0, PM_WANT_UIDL);
	EXPECT(m.uidl_len > 0, "want UIDL gave none");
	m = box_one(&b, 0, PM_WANT_OCTETS);
	EXPECT(m.octets > 0, "want OCTETS gave none");
	box_close(&b);
	kit_close(in);
}

/* ---- unique-ids ------------------------------------------------------------------------------ */

static void
uidl_legal(void)
{
	struct inst *in = kit_open();
	struct pm_msg m[40];
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "uidl", 20);
	kit_deliver_many(in, 0, "uidl", 20); /* identical twins */
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 40, "40 messages were delivered, %llu are there", (unsigned long long)b.n);
	box_info(&b, 0, 40, PM_WANT_UIDL, m);
	for (int k = 0; k < 40; k++) {
		EXPECT(m[k].uidl_len >= 1 && m[k].uidl_len <= PM_UIDL_MAX,
		       "message %d: a unique-id of %u octets", k, m[k].uidl_len);
		for (uint32_t i = 0; i < m[k].uidl_len; i++)
			EXPECT(m[k].uidl[i] >= 0x21 && m[k].uidl[i] <= 0x7e,
			       "message %d: octet 0x%02x in a unique-id", k,
			       (unsigned char)m[k].uidl[i]);
		for (int j = 0; j < k; j++)
			EXPECT(m[j].uidl_len != m[k].uidl_len ||
				       memcmp(m[j].uidl, m[k].uidl, m[k].uidl_len) != 0,
			       "messages %d and %d have the same unique-id %.*s", j, k,
			       (int)m[k].uidl_len, m[k].uidl);
	}
	box_close(&b);
	kit_close(in);
}

/* After another open too, and when the neighbours are gone. */
static void
uidl_stable(void)
{
	struct inst *in = kit_open();
	struct pm_msg before[9], after[4];
	uint8_t del[2] = {0};
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "stable", 9);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, 9, PM_WANT_UIDL, before);
	for (int k = 0; k < 9; k += 2)
		map_set(del, (uint64_t)k);
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	if (!setup.in_memory) {
		kit_close(in);
		in = kit_open();
	}
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 4, "4 of 9 messages were kept, %llu are there", (unsigned long long)b.n);
	box_info(&b, 0, 4, PM_WANT_UIDL, after);
	for (int k = 0; k < 4; k++)
		EXPECT(memcmp(before[2 * k + 1].uidl, after[k].uidl, 72) == 0,
		       "the unique-id of message %d changed when its neighbours were deleted",
		       2 * k + 1);
	box_close(&b);
	kit_close(in);
}

static void
uidl_not_reused(void)
{
	struct inst *in = kit_open();
	struct pm_msg m[5];
	struct box b;

	kit_empty(in, 0);
	for (int k = 0; k < 5; k++) {
		kit_deliver_text(in, 0, "Subject: always the same\r\n\r\nthe same\r\n");
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 1, "1 message was delivered, %llu are there",
		       (unsigned long long)b.n);
		box_info(&b, 0, 1, PM_WANT_UIDL, &m[k]);
		box_close(&b);
		kit_empty(in, 0);
		for (int j = 0; j < k; j++)
			EXPECT(m[j].uidl_len != m[k].uidl_len ||
				       memcmp(m[j].uidl, m[k].uidl, m[k].uidl_len) != 0,
			       "the unique-id of a deleted message was given to a new one: %.*s",
			       (int)m[k].uidl_len, m[k].uidl);
	}
	kit_close(in);
}

const struct check checks_snapshot[] = {
	{"open.unknown", "mbox_open", "a mailbox that does not exist yet opens empty", NEED_STORAGE,
	 unknown_mailbox},
	{"snapshot.closed", "mbox_open", "later deliveries are not in it, but in the next one",
	 NEED_DELIVERY, closed_to_delivery},
	{"snapshot.order", "mbox_open", "the messages come in the same order in every session",
	 NEED_DELIVERY, same_order},
	{"open.readonly", "PM_OPEN_READONLY", "takes no lock and sees the same mail", NEED_DELIVERY,
	 readonly_beside},
	{"snapshot.readers", "PM_OPEN_READONLY",
	 "deletions of others leave the records as they are", NEED_DELIVERY, readonly_gone},
	{"info.range", "mbox_info",
	 "beyond the snapshot or 1,024 records: PM_INVALID, records untouched", NEED_DELIVERY,
	 snapshot_range},
	{"info.slices", "mbox_info", "a record is the same however the range is cut", NEED_DELIVERY,
	 snapshot_slices},
	{"info.stride", "R1", "records of a larger size, at a larger stride", NEED_DELIVERY,
	 snapshot_stride},
	{"info.want", "mbox_info", "the fields asked for are there; none may be asked for",
	 NEED_DELIVERY, wanted_only},
	{"uidl.legal", "mbox_info; RFC 1939 section 7",
	 "1 to 70 characters 0x21..0x7E, no two alike, twins too", NEED_DELIVERY, uidl_legal},
	{"uidl.stable", "mbox_info; RFC 1939 section 7",
	 "the same in every session, whatever is deleted beside it", NEED_DELIVERY, uidl_stable},
	{"uidl.not-reused", "mbox_info; RFC 1939 section 7",
	 "never given to another message, not even to a twin", NEED_DELIVERY, uidl_not_reused},
	{0},
};
