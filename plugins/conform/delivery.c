/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery: invisible until committed, as a whole or not at all, one result for each recipient. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define RCPTS 3

/* A delivery to users 0..n-1 up to and with `steps`: 1 begin, 2 rcpt, 3 write, 4 prepare. */
static void *
delivery_upto(struct inst *in, int steps, unsigned n, const char *text, struct pm_result *res)
{
	const struct pm_delivery *d = in->m->delivery;
	void *dlv = NULL;
	int32_t rc;

	expect_rc("dlv_begin", d->dlv_begin(in->i, kit_pm(), 0, 0, &dlv), PM_OK);
	for (unsigned k = 0; steps >= 2 && k < n; k++) {
		struct pm_user u = kit_user(k);
		struct pm_rcpt r = {.size = sizeof(r), .user = &u};

		expect_rc("dlv_rcpt", d->dlv_rcpt(dlv, kit_pm(), &r), PM_OK);
	}
	if (steps >= 3)
		expect_rc("dlv_write", d->dlv_write(dlv, kit_pm(), text, strlen(text)), PM_OK);
	if (steps < 4)
		return dlv;
	for (unsigned k = 0; k < n; k++)
		res[k] = (struct pm_result){.size = sizeof(res[k])};
	while ((rc = d->dlv_prepare(dlv, kit_pm(), res, sizeof(*res))) == PM_AGAIN)
		;
	expect_rc("dlv_prepare", rc, PM_OK);
	for (unsigned k = 0; k < n; k++)
		expect_rc("dlv_prepare, one recipient,", res[k].rc, PM_OK);
	return dlv;
}

static void
delivery_commit(struct inst *in, void *dlv, struct pm_result *res, unsigned n)
{
	int32_t rc;

	while ((rc = in->m->delivery->dlv_commit(dlv, kit_pm(), res, sizeof(*res))) == PM_AGAIN)
		;
	expect_rc("dlv_commit", rc, PM_OK);
	for (unsigned k = 0; k < n; k++)
		expect_rc("dlv_commit, one recipient,", res[k].rc, PM_OK);
}

static void
expect_count(struct inst *in, unsigned user, uint64_t n, const char *when)
{
	struct box b = box_open(in, user, PM_OPEN_EXCLUSIVE);

	EXPECT(b.n == n, "%s mailbox %u holds %llu messages, expected %llu", when, user,
	       (unsigned long long)b.n, (unsigned long long)n);
	box_close(&b);
}

static void
empty_all(struct inst *in)
{
	for (unsigned k = 0; k < RCPTS; k++)
		kit_empty(in, k);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static void
delivery_invisible(void)
{
	struct inst *in = kit_open();
	struct pm_result res[RCPTS];
	void *dlv;

	empty_all(in);
	for (int steps = 1; steps <= 4; steps++) {
		dlv = delivery_upto(in, steps, 1, "Subject: not yet\r\n\r\nx\r\n", res);
		expect_count(in, 0, 0, "before dlv_commit");
		in->m->delivery->dlv_abort(dlv, kit_pm());
	}
	dlv = delivery_upto(in, 4, 1, "Subject: now\r\n\r\nx\r\n", res);
	expect_count(in, 0, 0, "after dlv_prepare");
	delivery_commit(in, dlv, res, 1);
	expect_count(in, 0, 1, "after dlv_commit");
	kit_close(in);
}

static void
delivery_aborted(void)
{
	struct inst *in = kit_open();
	struct pm_result res[RCPTS];

	empty_all(in);
	for (int steps = 1; steps <= 4; steps++) {
		void *dlv = delivery_upto(in, steps, RCPTS, "Subject: never\r\n\r\nx\r\n", res);

		in->m->delivery->dlv_abort(dlv, kit_pm());
		for (unsigned k = 0; k < RCPTS; k++)
			expect_count(in, k, 0, "after dlv_abort");
	}
	kit_close(in);
}

static void
delivery_several(void)
{
	static const char text[] = "Subject: to three\r\n\r\nthe same for all\r\n";
	struct inst *in = kit_open();
	struct pm_result res[RCPTS];

	empty_all(in);
	delivery_commit(in, delivery_upto(in, 4, RCPTS, text, res), res, RCPTS);
	for (unsigned k = 0; k < RCPTS; k++) {
		struct box b = box_open(in, k, PM_OPEN_EXCLUSIVE);
		struct bytes t;
		char *wire;

		EXPECT(b.n == 1, "recipient %u holds %llu messages", k, (unsigned long long)b.n);
		t = box_read(&b, 0, 4096);
		EXPECT(kit_wire(t, &wire) == strlen(text) && memcmp(wire, text, strlen(text)) == 0,
		       "recipient %u got another text", k);
		free(wire);
		free(t.p);
		box_close(&b);
	}
	kit_empty(in, 1); /* their copies are their own */
	expect_count(in, 0, 1, "after another recipient deleted its copy");
	expect_count(in, 2, 1, "after another recipient deleted its copy");
	kit_close(in);
}

/* Many recipients are more than a slice: the rest comes with the next call, and nothing twice. */
static void
delivery_sliced(void)
{
	struct inst *in = kit_open();
	struct pm_result res[RCPTS];
	unsigned again = 0;
	int32_t rc;
	void *dlv;

	empty_all(in);
	kit_hurry_ms = 201;
	dlv = delivery_upto(in, 4, RCPTS, "Subject: slices\r\n\r\nx\r\n", res);
	while ((rc = in->m->delivery->dlv_commit(dlv, kit_pm(), res, sizeof(*res))) == PM_AGAIN)
		EXPECT(++again < 1000,
		       "dlv_commit answered PM_AGAIN %u times: does it go on at all?", again);
	kit_hurry_ms = 0;
	expect_rc("dlv_commit", rc, PM_OK);
	for (unsigned k = 0; k < RCPTS; k++) {
		expect_rc("dlv_commit, one recipient,", res[k].rc, PM_OK);
		expect_count(in, k, 1, "after a commit in slices");
	}
	/* given back in the midst of it, before anything is visible */
	kit_hurry_ms = 201;
	dlv = delivery_upto(in, 3, RCPTS, "Subject: never\r\n\r\nx\r\n", res);
	for (unsigned k = 0; k < RCPTS; k++)
		res[k] = (struct pm_result){.size = sizeof(res[k])};
	(void)in->m->delivery->dlv_prepare(dlv, kit_pm(), res, sizeof(*res));
	in->m->delivery->dlv_abort(dlv, kit_pm());
	kit_hurry_ms = 0;
	for (unsigned k = 0; k < RCPTS; k++)
		expect_count(in, k, 1, "after dlv_abort between two slices of dlv_prepare");
	kit_close(in);
}

static void
uidl_told(void)
{
	struct inst *in = kit_open();
	struct pm_result res[RCPTS];
	struct pm_msg m;
	struct box b;

	empty_all(in);
	delivery_commit(in, delivery_upto(in, 4, RCPTS, "Subject: uidl\r\n\r\nx\r\n", res), res,
			RCPTS);
	for (unsigned k = 0; k < RCPTS; k++) {
		if (res[k].uidl_len == 0)
			continue; /* not known before the next session: allowed */
		b = box_open(in, k, PM_OPEN_EXCLUSIVE);
		m = box_one(&b, 0, PM_WANT_UIDL);
		EXPECT(m.uidl_len == res[k].uidl_len &&
			       memcmp(m.uidl, res[k].uidl, m.uidl_len) == 0,
		       "recipient %u: dlv_commit told the unique-id %.*s, the session %.*s", k,
		       (int)res[k].uidl_len, res[k].uidl, (int)m.uidl_len, m.uidl);
		box_close(&b);
	}
	kit_close(in);
}

/* Trace headers: for this recipient only, before the message. */
static void
delivery_heads(void)
{
	static const char text[] = "Subject: head\r\n\r\nx\r\n";
	struct inst *in = kit_open();
	const struct pm_delivery *d = in->m->delivery;
	struct pm_result res[RCPTS];
	char head[RCPTS][60], expected[200];
	void *dlv = NULL;

	empty_all(in);
	expect_rc("dlv_begin", d->dlv_begin(in->i, kit_pm(), sizeof(text), 0, &dlv), PM_OK);
	for (unsigned k = 0; k < RCPTS; k++) {
		struct pm_user u = kit_user(k);
		struct pm_rcpt r = {.size = sizeof(r), .user = &u};

		snprintf(head[k], sizeof(head[k]), "Delivered-To: user %u\r\n", k);
		r.head = k == 1 ? (struct pm_str){NULL, 0} : kit_str(head[k]);
		expect_rc("dlv_rcpt", d->dlv_rcpt(dlv, kit_pm(), &r), PM_OK);
		memset(head[k], '#', 4); /* borrowed until it returned (R4) */
		res[k] = (struct pm_result){.size = sizeof(res[k])};
	}
	expect_rc("dlv_write", d->dlv_write(dlv, kit_pm(), text, strlen(text)), PM_OK);
	while (d->dlv_prepare(dlv, kit_pm(), res, sizeof(*res)) == PM_AGAIN)
		;
	delivery_commit(in, dlv, res, RCPTS);
	for (unsigned k = 0; k < RCPTS; k++) {
		struct box b = box_open(in, k, PM_OPEN_EXCLUSIVE);
		struct bytes t = box_read(&b, 0, 4096);
		char *wire;
		size_t n = kit_wire(t, &wire);

		if (k == 1)
			snprintf(expected, sizeof(expected), "%s", text);
		else
			snprintf(expected, sizeof(expected), "Delivered-To: user %u\r\n%s", k,
				 text);
		EXPECT(n == strlen(expected) && memcmp(wire, expected, n) == 0,
		       "recipient %u got:\n%.*s", k, (int)n, wire);
		EXPECT(box_one(&b, 0, PM_WANT_OCTETS).octets == n,
		       "recipient %u: octets is not %zu", k, n);
		free(wire);
		free(t.p);
		box_close(&b);
	}
	kit_close(in);
}

/* Pieces of any size, also with CR and LF in two of them. */
static void
delivery_pieces(void)
{
	static const char text[] = "Subject: pieces\r\n\r\na\r\r\n.\r\nb\rc\r\n\r\nlast\r";
	static const size_t sizes[] = {1, 2, 3, 5};
	struct inst *in = kit_open();
	const struct pm_delivery *d = in->m->delivery;

	for (size_t s = 0; s < 4; s++) {
		struct bytes whole = {(char *)(uintptr_t)text, strlen(text)}, t;
		struct pm_result res;
		char *expected, *wire;
		size_t n = kit_wire(whole, &expected);
		struct box b;
		void *dlv;

		kit_empty(in, 0);
		dlv = delivery_upto(in, 2, 1, NULL, NULL);
		for (size_t at = 0; at < strlen(text); at += sizes[s])
			expect_rc("dlv_write",
				  d->dlv_write(dlv, kit_pm(), text + at,
					       strlen(text) - at < sizes[s] ? strlen(text) - at
									    : sizes[s]),
				  PM_OK);
		res = (struct pm_result){.size = sizeof(res)};
		while (d->dlv_prepare(dlv, kit_pm(), &res, sizeof(res)) == PM_AGAIN)
			;
		delivery_commit(in, dlv, &res, 1);
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		t = box_read(&b, 0, 4096);
		EXPECT(kit_wire(t, &wire) == n && memcmp(wire, expected, n) == 0,
		       "written in pieces of %zu another text comes back", sizes[s]);
		EXPECT(box_one(&b, 0, PM_WANT_OCTETS).octets == n,
		       "written in pieces of %zu octets is not %zu", sizes[s], n);
		free(expected);
		free(wire);
		free(t.p);
		box_close(&b);
	}
	kit_close(in);
}

/* A recipient that is refused has no record; the others do. */
static void
refused_recipient(void)
{
	struct inst *in = kit_open();
	const struct pm_delivery *d = in->m->delivery;
	struct pm_user bad = kit_user(0), good = kit_user(1);
	struct pm_rcpt r = {.size = sizeof(r), .user = &bad};
	struct pm_result res = {.size = sizeof(res)};
	char uidl[PM_UIDL_MAX + 2];
	void *dlv = NULL;

	kit_empty(in, 1);
	memset(uidl, 'u', sizeof(uidl));
	expect_rc("dlv_begin", d->dlv_begin(in->i, kit_pm(), 0, 0, &dlv), PM_OK);
	r.uidl = (struct pm_str){uidl, sizeof(uidl)}; /* 72 octets: no unique-id */
	EXPECT(d->dlv_rcpt(dlv, kit_pm(), &r) != PM_OK, "a unique-id of 72 octets was accepted");
	r.user = &good;
	r.uidl = (struct pm_str){NULL, 0};
	expect_rc("dlv_rcpt after a refused one", d->dlv_rcpt(dlv, kit_pm(), &r), PM_OK);
	expect_rc("dlv_write", d->dlv_write(dlv, kit_pm(), "x\r\n", 3), PM_OK);
	while (d->dlv_prepare(dlv, kit_pm(), &res, sizeof(res)) == PM_AGAIN)
		;
	delivery_commit(in, dlv, &res, 1);
	expect_count(in, 1, 1, "beside a refused recipient");
	kit_close(in);
}

static void
to_held(void)
{
	struct inst *in = kit_open();
	struct box b;

	kit_empty(in, 0);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	kit_deliver_many(in, 0, "held", 3);
	box_close(&b);
	expect_count(in, 0, 3, "delivered while a session held it,");
	kit_close(in);
}

static void
many_at_once(void)
{
	struct inst *in = kit_open();
	struct pm_result res[8][RCPTS];
	void *dlv[8];

	empty_all(in);
	for (int k = 0; k < 8; k++)
		dlv[k] = delivery_upto(in, 4, RCPTS, "Subject: beside others\r\n\r\nx\r\n", res[k]);
	for (int k = 7; k >= 0; k--) {
		if (k % 4 == 3)
			in->m->delivery->dlv_abort(dlv[k], kit_pm());
		else
			delivery_commit(in, dlv[k], res[k], RCPTS);
	}
	for (unsigned k = 0; k < RCPTS; k++)
		expect_count(in, k, 6, "after 6 of 8 deliveries at once");
	kit_close(in);
}

const struct check checks_delivery[] = {
	{"delivery.invisible", "dlv_commit",
	 "not there before dlv_commit, there for the next mbox_open", NEED_DELIVERY,
	 delivery_invisible},
	{"delivery.abort", "dlv_abort", "leaves nothing, at any step", NEED_DELIVERY,
	 delivery_aborted},
	{"delivery.several", "dlv_rcpt", "three recipients: each a copy of its own", NEED_DELIVERY,
	 delivery_several},
	{"delivery.slices", "dlv_prepare dlv_commit; PM_AGAIN",
	 "in slices: each recipient once; a handle given back between two leaves nothing",
	 NEED_DELIVERY, delivery_sliced},
	{"delivery.uidl", "struct pm_result", "the unique-id reported is the one the session shows",
	 NEED_DELIVERY, uidl_told},
	{"delivery.heads", "pm_rcpt.head",
	 "head lines before the message, for their recipient only", NEED_DELIVERY, delivery_heads},
	{"delivery.pieces", "dlv_write", "the message does not depend on how it is cut",
	 NEED_DELIVERY, delivery_pieces},
	{"delivery.refused", "dlv_rcpt", "a refused recipient has no record and does no harm",
	 NEED_DELIVERY, refused_recipient},
	{"delivery.held", "dlv_commit", "a session that holds the mailbox is not in the way",
	 NEED_DELIVERY, to_held},
	{"delivery.beside", "dlv_begin", "eight handles at once, ended in any order", NEED_DELIVERY,
	 many_at_once},
	{0},
};
