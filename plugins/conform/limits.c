/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, cancellation, no memory, hostile keys: nothing hangs, nothing breaks, nothing is
 * invented. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define LATE_MS 500      /* R7 */
#define PATIENCE_MS 5000 /* a loaded machine with a sanitizer is no breach of contract */

/* Calls with a deadline in the past: they are back soon, and their results are true. */
static void
past_deadline(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(0);
	int64_t began;
	uint8_t del[1] = {0xff};
	struct pm_commit c = {.size = sizeof(c), .n = 3, .del = del};
	uint64_t n = 0, done = 0;
	void *h = NULL;
	struct box b;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "late", 3);
	began = kit_now_ms();
	rc = in->m->storage->mbox_open(in->i, kit_pm_by(-1), &u, PM_OPEN_EXCLUSIVE, &n, &h);
	EXPECT(kit_now_ms() - began < LATE_MS + PATIENCE_MS,
	       "mbox_open came back %lld ms after its deadline", (long long)(kit_now_ms() - began));
	EXPECT(rc == PM_OK || rc == PM_AGAIN || rc == PM_TIMEOUT,
	       "mbox_open after its deadline gave %s", host_code_name(rc));
	if (rc == PM_OK || rc == PM_AGAIN)
		/* cannot fail, also not for lack of time */
		in->m->storage->mbox_close(h, kit_pm_by(-1));
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 3, "%llu messages instead of 3", (unsigned long long)b.n);
	do
		rc = in->m->storage->mbox_commit(b.h, kit_pm_by(-1), &c, &done);
	while (rc == PM_AGAIN);
	EXPECT(rc == PM_OK || rc == PM_TIMEOUT, "mbox_commit after its deadline gave %s",
	       host_code_name(rc));
	box_close(&b);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == (rc == PM_OK ? 0u : 3u), "mbox_commit said %s, and %llu messages are left",
	       host_code_name(rc), (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

static void
past_deadline_auth(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;
	struct pm_user u;
	int64_t began = kit_now_ms();
	int32_t rc;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = kit_str(setup.user);
	c.secret = kit_str(setup.password);
	host_user_init(&u);
	rc = in->m->auth->verify(in->i, kit_pm_by(-1), &c, &u);
	EXPECT(kit_now_ms() - began < LATE_MS + PATIENCE_MS,
	       "verify came back %lld ms after its deadline", (long long)(kit_now_ms() - began));
	EXPECT(rc == PM_OK || rc == PM_TIMEOUT || rc == PM_TEMP || rc == PM_DOWN,
	       "verify with the right password after its deadline gave %s (R11)",
	       host_code_name(rc));
	kit_close(in);
}

static void
limits_cancelled(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(0);
	uint64_t n = 0;
	void *h = NULL;
	struct box b;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "cancel", 3);
	kit_cancelled = true;
	for (int k = 0; k < 1000; k++) {
		rc = in->m->storage->mbox_open(in->i, kit_pm(), &u, PM_OPEN_EXCLUSIVE, &n, &h);
		if (rc != PM_AGAIN)
			break;
	}
	EXPECT(rc == PM_OK || rc == PM_CANCELLED, "mbox_open nobody waits for gave %s",
	       host_code_name(rc));
	if (rc == PM_OK)
		in->m->storage->mbox_close(h, kit_pm());
	kit_cancelled = false;
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 3, "%llu messages instead of 3", (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* alloc() gives no more: PM_NOMEM, or it was not needed. */
static void
no_memory(void)
{
	struct inst *in = kit_open();
	struct pm_cred c;
	struct pm_user u;
	int32_t rc;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = kit_str(setup.user);
	c.secret = kit_str(setup.password);
	for (int n = 0; n < 20; n++) {
		kit_allocs_left = n;
		host_user_init(&u);
		rc = in->m->auth->verify(in->i, kit_pm(), &c, &u);
		EXPECT(rc == PM_OK || rc == PM_NOMEM || rc == PM_TEMP,
		       "with %d allocations verify gave %s", n, host_code_name(rc));
	}
	kit_allocs_left = -1;
	host_user_init(&u);
	expect_rc("verify, with memory again", in->m->auth->verify(in->i, kit_pm(), &c, &u), PM_OK);
	kit_close(in);
}

/* Keys and names that point out of the store. There is no such mailbox: it is refused or empty, and
 * nothing is created. */
static void
hostile_keys(void)
{
	static const struct {
		const char *p;
		size_t n;
	} keys[] = {
#define K(s) {s, sizeof(s) - 1}
		K(""),          K("."),       K(".."),
		K("/"),         K("/etc"),    K("../../../etc"),
		K("a/../../b"), K("a/b"),     K("a\0b"),
		K("\0"),        K(".hidden"), K("a\nb"),
		K("%n"),        K("%s%n"),    K("' OR 1=1 --"),
		K("\xff\xfe"),  K("\xc3"),    K("*"),
		K("a\\b"),
#undef K
	};
	struct inst *in = kit_open();
	char longest[PM_KEY_MAX];

	memset(longest, 'k', sizeof(longest));
	for (size_t k = 0; k <= sizeof(keys) / sizeof(keys[0]); k++) {
		bool last = k == sizeof(keys) / sizeof(keys[0]);
		struct pm_str key = {last ? longest : keys[k].p,
				     last ? sizeof(longest) : keys[k].n};
		uint64_t n = 0;
		struct pm_user u;
		void *h = NULL;
		int32_t rc;

		host_user_init(&u);
		u.key = key;
		u.name = last ? (struct pm_str){longest, PM_NAME_MAX} : key;
		do
			rc = in->m->storage->mbox_open(in->i, kit_pm(), &u, PM_OPEN_EXCLUSIVE, &n,
						       &h);
		while (rc == PM_AGAIN);
		EXPECT(rc == PM_OK || rc == PM_PERM || rc == PM_INVALID || rc == PM_NOENT ||
			       rc == PM_UNSUPPORTED,
		       "hostile key %zu (%.20s) gave %s: %s", k, key.p, host_code_name(rc),
		       kit_said());
		if (rc != PM_OK)
			continue;
		EXPECT(n == 0, "hostile key %zu (%.20s) opened somebody's mailbox of %llu messages",
		       k, key.p, (unsigned long long)n);
		in->m->storage->mbox_close(h, kit_pm());
	}
	kit_close(in);
}

/* The functions of a call record that is not the loader's. */
static void *
plain_alloc(const struct pm_call *call, size_t n)
{
	static _Alignas(max_align_t) char memory[65536];
	static size_t used;
	size_t at = used;

	(void)call;
	used += (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	return used <= sizeof(memory) ? memory + at : NULL;
}

static void
plain_error(const struct pm_call *call, struct pm_str text)
{
	(void)call;
	(void)text;
}

static int32_t
plain_cancelled(const struct pm_call *call)
{
	(void)call;
	return 0;
}

/* A host of a later minor: larger call, user and commit records. */
static void
larger_structs(void)
{
	struct {
		struct pm_call c;
		char more[64];
	} call;
	struct {
		struct pm_user u;
		char more[64];
	} user;
	struct {
		struct pm_commit c;
		char more[64];
	} commit;
	struct inst *in = kit_open();
	uint8_t del[1] = {1};
	uint64_t n = 0, done = 0;
	void *h = NULL;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "larger", 2);
	memset(&call, 0, sizeof(call));
	call.c = (struct pm_call){.size = sizeof(call),
				  .deadline_ms = kit_now_ms() + 20000,
				  .alloc = plain_alloc,
				  .error = plain_error,
				  .cancelled = plain_cancelled};
	memset(&user, 0, sizeof(user));
	user.u = kit_user(0);
	user.u.size = sizeof(user);
	memset(&commit, 0, sizeof(commit));
	commit.c = (struct pm_commit){.size = sizeof(commit), .n = 2, .del = del};
	do
		rc = in->m->storage->mbox_open(in->i, &call.c, &user.u, PM_OPEN_EXCLUSIVE, &n, &h);
	while (rc == PM_AGAIN);
	EXPECT(rc == PM_OK && n == 2, "mbox_open with larger records gave %s", host_code_name(rc));
	do
		rc = in->m->storage->mbox_commit(h, &call.c, &commit.c, &done);
	while (rc == PM_AGAIN);
	EXPECT(rc == PM_OK, "mbox_commit with larger records gave %s", host_code_name(rc));
	in->m->storage->mbox_close(h, &call.c);
	for (size_t k = 0; k < 64; k++)
		EXPECT(!call.more[k] && !user.more[k] && !commit.more[k],
		       "it wrote after a record it was lent");
	kit_close(in);
}

const struct check checks_limits[] = {
	{"limits.deadline", "R7", "after the deadline: back soon, and truthful", NEED_DELIVERY,
	 past_deadline},
	{"limits.deadline-auth", "R7; R11", "verify after its deadline is never a wrong password",
	 NEED_AUTH | NEED_ACCOUNT, past_deadline_auth},
	{"limits.cancelled", "pm_call.cancelled", "after a cancelled call nothing is left behind",
	 NEED_DELIVERY, limits_cancelled},
	{"limits.memory", "pm_call.alloc", "when alloc gives no more: PM_NOMEM",
	 NEED_AUTH | NEED_ACCOUNT, no_memory},
	{"limits.keys", "R9", "20 hostile keys: refused or empty, never another's mail",
	 NEED_STORAGE, hostile_keys},
	{"limits.larger", "R1", "larger records of a later minor are read and left alone",
	 NEED_DELIVERY, larger_structs},
	{0},
};
