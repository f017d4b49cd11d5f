/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes from outside: list, totals, removal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void
boxes_totals(void)
{
	struct inst *in = kit_open();
	struct pm_stat s = {.size = sizeof(s)};
	struct pm_msg m[7];
	uint64_t octets = 0;
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "stat", 7);
	expect_rc("box_stat", box_totals(in, 0, &s), PM_OK);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_info(&b, 0, 7, PM_WANT_OCTETS, m);
	for (int k = 0; k < 7; k++)
		octets += m[k].octets;
	EXPECT(s.count == 7 && s.octets == octets,
	       "box_stat says %llu messages, %llu octets; the session 7 and %llu",
	       (unsigned long long)s.count, (unsigned long long)s.octets,
	       (unsigned long long)octets);
	EXPECT(s.last_delivery_ms == 0 || s.last_delivery_ms > 1600000000000,
	       "last_delivery_ms is %lld", (long long)s.last_delivery_ms);
	/* and while it is held */
	s = (struct pm_stat){.size = sizeof(s)};
	expect_rc("box_stat of a held mailbox", box_totals(in, 0, &s), PM_OK);
	EXPECT(s.count == 7, "box_stat of a held mailbox says %llu messages",
	       (unsigned long long)s.count);
	box_close(&b);
	kit_close(in);
}

static struct pm_stat
stat_of(struct inst *in)
{
	struct pm_stat s = {.size = sizeof(s)};

	expect_rc("box_stat", box_totals(in, 0, &s), PM_OK);
	return s;
}

/* A module that remembers totals and adds to them must agree with a session, whatever the text. */
static void
totals_grow(void)
{
	static const char *const texts[] = {
		"Subject: plain\r\n\r\nx\r\n",
		"Subject: no line end\r\n\r\nx",
		"Subject: dots and From\r\n\r\n.\r\n..\r\nFrom here\r\n>From there\r\n\r\n\r\n",
		"Subject: head only\r\n",
		"no head\r\n",
		"Subject: plain again\r\n\r\nx\r\n",
	};
	enum { N = sizeof(texts) / sizeof(texts[0]) };
	struct inst *in = kit_open();
	struct pm_msg m[N];

	kit_empty(in, 0);
	for (size_t n = 1; n <= N; n++) {
		uint64_t octets = 0;
		struct pm_stat s;
		struct box b;

		kit_deliver_text(in, 0, texts[n - 1]);
		s = stat_of(in);
		b = box_open(in, 0, n % 3 ? PM_OPEN_READONLY : PM_OPEN_EXCLUSIVE);
		box_info(&b, 0, n, PM_WANT_OCTETS, m);
		for (size_t k = 0; k < n; k++)
			octets += m[k].octets;
		EXPECT(b.n == n && s.count == n && s.octets == octets,
		       "with delivery %zu box_stat says %llu messages, %llu octets; the session "
		       "%llu and %llu",
		       n, (unsigned long long)s.count, (unsigned long long)s.octets,
		       (unsigned long long)b.n, (unsigned long long)octets);
		box_close(&b);
	}
	kit_empty(in, 0);
	EXPECT(stat_of(in).count == 0, "emptied, box_stat says %llu messages",
	       (unsigned long long)stat_of(in).count);
	kit_close(in);
}

/* User 0's totals as a reader sees them: box_stat has to report the same. */
static struct pm_stat
boxes_seen(struct inst *in)
{
	struct box b = box_open(in, 0, PM_OPEN_READONLY);
	struct pm_stat s = {.size = sizeof(s), .count = b.n};

	for (uint64_t k = 0; k < b.n; k++)
		s.octets += box_one(&b, k, PM_WANT_OCTETS).octets;
	box_close(&b);
	return s;
}

static void
recount_is_seen(struct inst *in, const char *when)
{
	struct pm_stat anew = {.size = sizeof(anew)}, is = boxes_seen(in), after;

	expect_rc("box_stat with PM_CALLF_RECOUNT", box_recount(in, 0, &anew), PM_OK);
	after = stat_of(in);
	EXPECT(anew.count == is.count && anew.octets == is.octets,
	       "%s: counted anew it says %llu messages, %llu octets; mbox_open and mbox_info %llu "
	       "and %llu",
	       when, (unsigned long long)anew.count, (unsigned long long)anew.octets,
	       (unsigned long long)is.count, (unsigned long long)is.octets);
	EXPECT(after.count == is.count && after.octets == is.octets && after.hidden == anew.hidden,
	       "%s: and then box_stat says %llu messages, %llu octets", when,
	       (unsigned long long)after.count, (unsigned long long)after.octets);
}

/* Counted again between deliveries and deletions; a module that does not know the flag answers as
 * ever. */
static void
boxes_recount(void)
{
	struct inst *in = kit_open();
	struct pm_stat none = {.size = sizeof(none)};
	uint8_t del[1] = {0x05};
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "recount", 4);
	recount_is_seen(in, "after four deliveries");
	kit_deliver_text(in, 0, "Subject: dots\r\n\r\n.\r\n>From\r\nno end");
	recount_is_seen(in, "after a fifth");
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	recount_is_seen(in, "while a session holds it");
	expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	box_close(&b);
	recount_is_seen(in, "after two deletions");
	EXPECT(boxes_seen(in).count == 3, "two of five are deleted, %llu are left",
	       (unsigned long long)boxes_seen(in).count);
	expect_rc("box_stat with PM_CALLF_RECOUNT of a mailbox that is not there",
		  box_recount(in, 94, &none), PM_NOENT);
	kit_close(in);
}

static void
no_such_box(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(91);
	struct pm_stat s, before;

	if (in->m->storage->box_delete)
		(void)in->m->storage->box_delete(in->i, kit_pm(), &u); /* of an earlier run */
	memset(&s, 0x33, sizeof(s));
	s.size = sizeof(s);
	before = s;
	expect_rc("box_stat of a mailbox that is not there", box_totals(in, 91, &s), PM_NOENT);
	EXPECT(memcmp(&s, &before, sizeof(s)) == 0, "PM_NOENT, and the record was written to");
	kit_close(in);
}

static struct pm_stat
domain_of(struct inst *in, const char *name, uint32_t flags)
{
	struct pm_stat s = {.size = sizeof(s)};
	int32_t rc = PM_AGAIN;

	for (int k = 0; rc == PM_AGAIN && k < 1000000; k++) {
		struct host_call *c = kit_call();

		c->pm.flags = flags;
		rc = in->m->storage->domain_stat(in->i, &c->pm, kit_str(name), &s);
	}
	expect_rc("domain_stat", rc, PM_OK);
	return s;
}

static void
is_more(const char *when, const struct pm_stat *before, const struct pm_stat *now, int64_t count,
	int64_t octets)
{
	EXPECT((int64_t)(now->count - before->count) == count &&
		       (int64_t)(now->octets - before->octets) == octets,
	       "%s domain_stat changed by %lld messages, %lld octets; expected %lld and %lld", when,
	       (long long)(now->count - before->count), (long long)(now->octets - before->octets),
	       (long long)count, (long long)octets);
}

/* Two mailboxes of the kit's domain; its others may hold mail of earlier runs. */
static void
boxes_domain(void)
{
	struct inst *in = kit_open();
	struct pm_stat before, now;
	struct pm_user u = kit_user(95);
	uint64_t octets;

	if (!in->m->storage->domain_stat)
		kit_skip("no domain_stat");
	now = domain_of(in, "nobody-has-this.example", 0);
	EXPECT(now.count == 0 && now.octets == 0, "a domain nobody has holds %llu messages",
	       (unsigned long long)now.count);
	now = domain_of(in, "nobody-has-this.example", PM_CALLF_RECOUNT);
	EXPECT(now.count == 0 && now.octets == 0, "a domain nobody has is counted to %llu messages",
	       (unsigned long long)now.count);
	kit_empty(in, 0);
	before = domain_of(in, "example.org", PM_CALLF_RECOUNT);
	kit_deliver_many(in, 0, "of a domain", 3);
	octets = boxes_seen(in).octets;
	now = domain_of(in, "example.org", 0);
	is_more("three deliveries:", &before, &now, 3, (int64_t)octets);
	now = domain_of(in, "example.org", PM_CALLF_RECOUNT);
	is_more("counted anew,", &before, &now, 3, (int64_t)octets);
	kit_deliver_many(in, 95, "of a domain", 1);
	(void)in->m->storage->box_delete(in->i, kit_pm(), &u);
	kit_empty(in, 0);
	now = domain_of(in, "example.org", 0);
	is_more("emptied and removed:", &before, &now, 0, 0);
	kit_close(in);
}

/* All keys, in pages of n. Returns how many of the kit's own ten were seen, each once. */
static unsigned
page_through(struct inst *in, size_t n)
{
	struct pm_box *page = calloc(n, sizeof(*page));
	char cursor[256];
	struct pm_str at = {cursor, 0};
	unsigned seen[10] = {0}, ours = 0;
	size_t got = n;

	EXPECT(page, "no memory");
	while (got == n) {
		int32_t rc = PM_AGAIN;

		for (unsigned i = 0; rc == PM_AGAIN && i < AGAIN_MAX; i++) {
			memset(page, 0, n * sizeof(*page));
			for (size_t k = 0; k < n; k++)
				page[k].size = sizeof(*page);
			got = 0;
			rc = in->m->storage->box_list(in->i, kit_pm(), at, n, sizeof(*page), page,
						      &got);
		}
		expect_rc("box_list", rc, PM_OK);
		EXPECT(got <= n, "box_list gave %zu of at most %zu", got, n);
		for (size_t k = 0; k < got; k++) {
			EXPECT(page[k].key_len <= PM_KEY_MAX && page[k].cursor_len <= PM_CURSOR_MAX,
			       "key or cursor too long");
			for (unsigned u = 0; u < 10; u++) {
				struct pm_user user = kit_user(u);

				if (page[k].key_len == user.key.n &&
				    memcmp(page[k].key, user.key.p, user.key.n) == 0)
					seen[u]++;
			}
		}
		if (got > 0) {
			EXPECT(page[got - 1].cursor_len > 0,
			       "a mailbox without a cursor to go on from");
			memcpy(cursor, page[got - 1].cursor, page[got - 1].cursor_len);
			at.n = page[got - 1].cursor_len;
		}
	}
	for (unsigned u = 0; u < 10; u++) {
		EXPECT(seen[u] <= 1, "in pages of %zu a mailbox comes %u times", n, seen[u]);
		ours += seen[u];
	}
	free(page);
	return ours;
}

static void
boxes_list(void)
{
	static const size_t pages[] = {1, 3, 10, 100};
	struct inst *in = kit_open();

	for (unsigned u = 0; u < 10; u++) {
		kit_empty(in, u);
		kit_deliver_many(in, u, "list", 1);
	}
	for (int k = 0; k < 4; k++) {
		unsigned n = page_through(in, pages[k]);

		EXPECT(n == 10, "in pages of %zu %u of 10 mailboxes are listed", pages[k], n);
	}
	kit_close(in);
}

static void
boxes_removal(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(5);
	struct box b;

	kit_empty(in, 5);
	kit_deliver_many(in, 5, "remove", 2);
	b = box_open(in, 5, PM_OPEN_EXCLUSIVE);
	expect_rc("box_delete of a held mailbox", in->m->storage->box_delete(in->i, kit_pm(), &u),
		  PM_BUSY);
	EXPECT(box_find(&b, "Subject: remove 1") >= 0, "PM_BUSY, and its mail is gone");
	box_close(&b);
	expect_rc("box_delete", in->m->storage->box_delete(in->i, kit_pm(), &u), PM_OK);
	expect_rc("box_delete again", in->m->storage->box_delete(in->i, kit_pm(), &u), PM_NOENT);
	b = box_open(in, 5, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 0, "after box_delete %llu messages are left", (unsigned long long)b.n);
	box_close(&b);
	kit_deliver_many(in, 5, "new life", 1);
	b = box_open(in, 5, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 1, "a removed mailbox takes no new mail");
	box_close(&b);
	kit_close(in);
}

static struct pm_str
place_of(struct inst *in, unsigned user)
{
	struct pm_user u = kit_user(user);
	struct pm_str place = {NULL, 0};

	expect_rc("box_place", in->m->storage->box_place(in->i, kit_pm(), &u, &place), PM_OK);
	EXPECT(place.p && place.n > 0 && place.n <= PM_PLACE_MAX, "box_place told %zu bytes",
	       place.n);
	return place;
}

static void
boxes_place(void)
{
	struct inst *in = kit_open();
	struct pm_str a, b;

	if (!in->m->storage->box_place)
		kit_skip("no box_place");
	for (unsigned mail = 0; mail < 2; mail++) { /* before there is a mailbox, and with one */
		for (unsigned u = 6; u < 8; u++) {
			kit_empty(in, u);
			kit_deliver_many(in, u, "place", mail);
		}
		a = place_of(in, 6);
		b = place_of(in, 6);
		EXPECT(a.n == b.n && memcmp(a.p, b.p, a.n) == 0,
		       "one mailbox is in two places: '%.*s' and '%.*s'", (int)a.n, a.p, (int)b.n,
		       b.p);
		b = place_of(in, 7);
		EXPECT(a.n != b.n || memcmp(a.p, b.p, a.n) != 0,
		       "two mailboxes are in one place: '%.*s'", (int)a.n, a.p);
	}
	kit_close(in);
}

const struct check checks_boxes[] = {
	{"boxes.stat", "box_stat", "count and octets as the session sees them",
	 NEED_DELIVERY | NEED_STAT, boxes_totals},
	{"boxes.stat-grows", "box_stat dlv_commit", "with each delivery, as the session sees them",
	 NEED_DELIVERY | NEED_STAT, totals_grow},
	{"boxes.recount", "box_stat PM_CALLF_RECOUNT",
	 "the totals a reader sees, then and afterwards", NEED_DELIVERY | NEED_STAT, boxes_recount},
	{"boxes.domain", "domain_stat PM_CALLF_RECOUNT", "the sum of a domain's mailboxes",
	 NEED_DELIVERY | NEED_COUNTS, boxes_domain},
	{"boxes.none", "box_stat; R5",
	 "a mailbox that is not there: PM_NOENT, the record untouched", NEED_STORAGE | NEED_STAT,
	 no_such_box},
	{"boxes.list", "box_list", "every mailbox once, however the pages are cut",
	 NEED_DELIVERY | NEED_LIST, boxes_list},
	{"boxes.place", "box_place", "the same for one mailbox, another for another one",
	 NEED_DELIVERY, boxes_place},
	{"boxes.delete", "box_delete", "PM_BUSY while held; then all is gone",
	 NEED_DELIVERY | NEED_DELETE, boxes_removal},
	{0},
};
