/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads in one instance, and handles that wander between them (R6). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define THREADS 6
#define ROUNDS 25

/* ---- sessions and deliveries ----------------------------------------------------------------- */

struct work {
	struct inst *in;
	_Atomic uint64_t delivered, deleted;
};
struct part {
	struct work *w;
	unsigned k;
};

static void
threads_session(struct work *w, unsigned user)
{
	uint8_t del[64] = {0};
	struct pm_msg m;
	struct box b;
	int32_t rc = box_try(w->in, user, PM_OPEN_EXCLUSIVE, &b);

	if (rc == PM_BUSY)
		return;
	expect_rc("mbox_open", rc, PM_OK);
	if (b.n > 0 && b.n < 500) {
		uint64_t at = b.n / 2;
		struct bytes t = box_read(&b, at, 512);

		m = box_one(&b, at, PM_WANT_OCTETS | PM_WANT_UIDL);
		EXPECT(kit_wire(t, NULL) == m.octets, "beside others a message has another size");
		free(t.p);
		map_set(del, at);
		expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
		w->deleted++;
	}
	box_close(&b);
}

static void
threads_work(void *arg)
{
	struct part *p = arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned user = (p->k + round) % 4;

		kit_deliver_many(p->w->in, user, "thread", 2);
		p->w->delivered += 2;
		threads_session(p->w, user);
	}
}

static void
threads_sessions(void)
{
	struct work w = {.in = kit_open()};
	struct part parts[THREADS];
	kit_thread *t[THREADS];
	uint64_t left = 0;

	for (unsigned k = 0; k < 4; k++)
		kit_empty(w.in, k);
	for (unsigned k = 0; k < THREADS; k++) {
		parts[k] = (struct part){&w, k};
		t[k] = kit_thread_start(w.in, threads_work, &parts[k]);
	}
	for (unsigned k = 0; k < THREADS; k++)
		kit_thread_join(t[k]);
	for (unsigned k = 0; k < 4; k++) {
		struct box b = box_open(w.in, k, PM_OPEN_EXCLUSIVE);

		left += b.n;
		box_close(&b);
	}
	EXPECT(left == w.delivered - w.deleted, "%llu delivered, %llu deleted, %llu are left",
	       (unsigned long long)w.delivered, (unsigned long long)w.deleted,
	       (unsigned long long)left);
	EXPECT(w.deleted > 0, "no session ever came in");
	kit_close(w.in);
}

/* ---- a handle goes from thread to thread ----------------------------------------------------- */

struct relay {
	struct inst *in;
	struct box b;
	void *msg;
	size_t got;
	char buf[64];
};

static void
relay_open(void *arg)
{
	struct relay *r = arg;

	r->b = box_open(r->in, 0, PM_OPEN_EXCLUSIVE);
}

static void
relay_message(void *arg)
{
	struct relay *r = arg;

	expect_rc("msg_open", r->in->m->storage->msg_open(r->b.h, kit_pm(), 0, &r->msg), PM_OK);
}

static void
relay_read(void *arg)
{
	struct relay *r = arg;

	expect_rc("msg_read",
		  r->in->m->storage->msg_read(r->msg, kit_pm(), r->buf, sizeof(r->buf), &r->got),
		  PM_OK);
}

static void
relay_commit(void *arg)
{
	struct relay *r = arg;
	uint8_t del[1] = {1};

	r->in->m->storage->msg_close(r->msg, kit_pm());
	expect_rc("mbox_commit", box_commit(&r->b, del, NULL, NULL, 0), PM_OK);
}

static void
relay_close(void *arg)
{
	struct relay *r = arg;

	box_close(&r->b);
}

static void
threads_wandering(void)
{
	static void (*const steps[])(void *) = {relay_open, relay_message, relay_read, relay_commit,
						relay_close};
	struct relay r = {.in = kit_open()};
	struct box b;

	kit_empty(r.in, 0);
	kit_deliver_many(r.in, 0, "relay", 2);
	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++)
		kit_thread_join(kit_thread_start(r.in, steps[k], &r));
	b = box_open(r.in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 1, "%llu messages are left, expected 1", (unsigned long long)b.n);
	box_close(&b);
	kit_close(r.in);
}

/* ---- logins ---------------------------------------------------------------------------------- */

static void
threads_login(void *arg)
{
	struct part *p = arg;

	for (int k = 0; k < ROUNDS; k++) {
		bool good = (k + (int)p->k) % 2;
		struct pm_cred c;
		struct pm_user u;
		int32_t rc;

		host_cred_init(&c);
		c.kind = PM_CRED_PASSWORD;
		c.service = kit_str("pop3");
		c.authcid = kit_str(setup.user);
		c.secret = kit_str(good ? setup.password : "certainly wrong");
		host_user_init(&u);
		rc = p->w->in->m->auth->verify(p->w->in->i, kit_pm(), &c, &u);
		EXPECT(good ? rc == PM_OK : rc == PM_DENIED || rc == PM_NEXT,
		       "beside others the %s password gave %s", good ? "right" : "wrong",
		       host_code_name(rc));
	}
}

static void
threads_logins(void)
{
	struct work w = {.in = kit_open()};
	struct part parts[THREADS];
	kit_thread *t[THREADS];

	for (unsigned k = 0; k < THREADS; k++) {
		parts[k] = (struct part){&w, k};
		t[k] = kit_thread_start(w.in, threads_login, &parts[k]);
	}
	for (unsigned k = 0; k < THREADS; k++)
		kit_thread_join(t[k]);
	kit_close(w.in);
}

const struct check checks_threads[] = {
	{"threads.sessions", "R6",
	 "six threads deliver, fetch and delete in four mailboxes; the sum is right", NEED_DELIVERY,
	 threads_sessions},
	{"threads.wandering", "R6", "each step of a session on another thread", NEED_DELIVERY,
	 threads_wandering},
	{"threads.logins", "R6", "six threads log in, right and wrong", NEED_AUTH | NEED_ACCOUNT,
	 threads_logins},
	{0},
};
