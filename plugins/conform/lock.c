/* SPDX-License-Identifier: Apache-2.0 */
/* The exclusive maildrop: one holder, in this process and in all others. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

static void
second_opener(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(0);
	uint64_t n = 4711;
	void *h = NULL;
	struct box b;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "one", 1);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	while ((rc = in->m->storage->mbox_open(in->i, kit_pm(), &u, PM_OPEN_EXCLUSIVE, &n, &h)) ==
	       PM_AGAIN)
		;
	expect_rc("mbox_open of a held mailbox", rc, PM_BUSY);
	EXPECT(n == 4711, "PM_BUSY, and the count was written to");
	box_close(&b);
	kit_close(in);
}

static void
other_instance(void)
{
	struct inst *a = kit_open(), *c = kit_open();
	struct box b, other;

	kit_empty(a, 0);
	kit_deliver_many(a, 0, "one", 1);
	b = box_open(a, 0, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_open through another instance", box_try(c, 0, PM_OPEN_EXCLUSIVE, &other),
		  PM_BUSY);
	box_close(&b);
	b = box_open(c, 0, PM_OPEN_EXCLUSIVE);
	box_close(&b);
	kit_close(a);
	kit_close(c);
}

static void
lock_released(void)
{
	struct inst *in = kit_open();
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "one", 2);
	for (int k = 0; k < 100; k++) {
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
		EXPECT(b.n == 2, "in session %d there are %llu messages", k,
		       (unsigned long long)b.n);
		box_close(&b);
	}
	kit_close(in);
}

/* A mailbox that never had a delivery is a maildrop, too: while a session has it, before and after
 * its first mail. */
static void
lock_unborn(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(92);
	struct box b, other;

	if (in->m->storage->box_delete)
		(void)in->m->storage->box_delete(in->i, kit_pm(), &u); /* of an earlier run */
	else
		kit_empty(in, 92);
	b = box_open(in, 92, PM_OPEN_EXCLUSIVE);
	expect_rc("mbox_open of a held mailbox that does not exist yet",
		  box_try(in, 92, PM_OPEN_EXCLUSIVE, &other), PM_BUSY);
	kit_deliver_many(in, 92, "first", 1);
	expect_rc("mbox_open of it after its first mail",
		  box_try(in, 92, PM_OPEN_EXCLUSIVE, &other), PM_BUSY);
	EXPECT(b.n == 0, "the first mail came later, and the snapshot holds %llu messages",
	       (unsigned long long)b.n);
	box_close(&b);
	b = box_open(in, 92, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 1, "the next session sees %llu messages, expected 1",
	       (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* A failed second open, and its closed descriptors, must not take the first one's lock away. */
static void
not_dropped(void)
{
	struct inst *in = kit_open();
	struct box b, other;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "one", 2);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	for (int k = 0; k < 3; k++) {
		struct box ro = box_open(in, 0, PM_OPEN_READONLY);

		free(box_read(&ro, 0, 100).p);
		box_close(&ro);
		expect_rc("mbox_open after a reader came and went",
			  box_try(in, 0, PM_OPEN_EXCLUSIVE, &other), PM_BUSY);
	}
	box_close(&b);
	kit_close(in);
}

static void
lock_neighbours(void)
{
	struct inst *in = kit_open();
	struct box b[20];

	for (unsigned k = 0; k < 20; k++) {
		kit_empty(in, k);
		kit_deliver_many(in, k, "mine", k % 3 + 1);
	}
	for (unsigned k = 0; k < 20; k++)
		b[k] = box_open(in, k, PM_OPEN_EXCLUSIVE);
	for (unsigned k = 0; k < 20; k++) {
		EXPECT(b[k].n == k % 3 + 1, "mailbox %u holds %llu messages, expected %u", k,
		       (unsigned long long)b[k].n, k % 3 + 1);
		box_close(&b[k]);
	}
	kit_close(in);
}

/* A handle that is not ready yet is given back by mbox_close and holds nothing afterwards. */
static void
half_open(void)
{
	struct inst *in = kit_open();
	struct pm_user u = kit_user(0);
	uint64_t n = 0;
	void *h = NULL;
	struct box b;
	int32_t rc;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "half", 30);
	for (int k = 0; k < 3; k++) {
		h = NULL;
		rc = in->m->storage->mbox_open(in->i, kit_pm(), &u, PM_OPEN_EXCLUSIVE, &n, &h);
		EXPECT(rc == PM_OK || rc == PM_AGAIN, "mbox_open gave %s: %s", host_code_name(rc),
		       kit_said());
		in->m->storage->mbox_close(h, kit_pm());
	}
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == 30, "30 messages were delivered, %llu are there", (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* ---- other processes ------------------------------------------------------------------------- */

struct pipes {
	int to_parent[2], to_child[2];
};

static void
make_pipes(struct pipes *p)
{
	EXPECT(pipe(p->to_parent) == 0 && pipe(p->to_child) == 0, "pipe: %s",
	       strerrordesc_np(errno));
}

/* Opens, reports it, and waits for a word - or for its death. */
static int
lock_hold(void *arg)
{
	struct pipes *p = arg;
	struct inst *in = kit_open();
	struct box b;
	char c = (char)(box_try(in, 0, PM_OPEN_EXCLUSIVE, &b) == PM_OK ? 'y' : 'n');

	if (write(p->to_parent[1], &c, 1) != 1 || c == 'n' || read(p->to_child[0], &c, 1) != 1)
		return 1;
	box_close(&b);
	kit_close(in);
	return 0;
}

static int
start_holder(struct pipes *p)
{
	int pid;
	char c = 0;

	make_pipes(p);
	pid = kit_fork(lock_hold, p);
	EXPECT(read(p->to_parent[0], &c, 1) == 1 && c == 'y',
	       "another process could not open the free mailbox");
	return pid;
}

static void
other_process(void)
{
	struct inst *in = kit_open();
	struct pipes p;
	struct box b;
	int pid;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "one", 1);
	kit_close(in); /* a module's threads would not be in the new process */
	pid = start_holder(&p);
	in = kit_open();
	expect_rc("mbox_open of a mailbox another process holds",
		  box_try(in, 0, PM_OPEN_EXCLUSIVE, &b), PM_BUSY);
	EXPECT(write(p.to_child[1], "q", 1) == 1, "the other process is gone");
	EXPECT(kit_join(pid) == 0, "the other process failed");
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	box_close(&b);
	kit_close(in);
}

static void
dead_holder(void)
{
	struct inst *in = kit_open();
	struct pipes p;
	struct box b;
	int pid;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, "one", 1);
	kit_close(in); /* a module's threads would not be in the new process */
	pid = start_holder(&p);
	in = kit_open();
	EXPECT(kill(pid, SIGKILL) == 0, "kill: %s", strerrordesc_np(errno));
	(void)kit_join(pid);
	b = box_open_dead(in, 0);
	EXPECT(b.n == 1, "the dead session took messages with it: %llu are left",
	       (unsigned long long)b.n);
	box_close(&b);
	kit_close(in);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct race {
	struct inst *in;
	_Atomic int inside, opened, wrong;
};

static void
lock_contend(void *arg)
{
	struct race *r = arg;
	struct box b;

	for (int k = 0; k < 60; k++) {
		int32_t rc = box_try(r->in, 0, PM_OPEN_EXCLUSIVE, &b);

		if (rc == PM_BUSY)
			continue;
		expect_rc("mbox_open", rc, PM_OK);
		if (++r->inside != 1)
			r->wrong++;
		r->opened++;
		r->inside--;
		box_close(&b);
	}
}

static void
never_two(void)
{
	struct race r = {.in = kit_open()};
	kit_thread *t[6];

	kit_empty(r.in, 0);
	kit_deliver_many(r.in, 0, "race", 2);
	for (int k = 0; k < 6; k++)
		t[k] = kit_thread_start(r.in, lock_contend, &r);
	for (int k = 0; k < 6; k++)
		kit_thread_join(t[k]);
	EXPECT(r.wrong == 0, "%d times two threads held one mailbox", r.wrong);
	EXPECT(r.opened > 0, "nobody ever got it");
	kit_close(r.in);
}

const struct check checks_lock[] = {
	{"lock.busy", "mbox_open; R5",
	 "a second exclusive opener: PM_BUSY at once, out parameters untouched", NEED_DELIVERY,
	 second_opener},
	{"lock.instances", "mbox_open", "also through another instance of the same store",
	 NEED_DELIVERY | NEED_SHARED, other_instance},
	{"lock.released", "mbox_close", "free as soon as mbox_close has returned", NEED_DELIVERY,
	 lock_released},
	{"lock.unborn", "mbox_open", "also a mailbox that never had a delivery",
	 NEED_DELIVERY | NEED_COUNTS, lock_unborn},
	{"lock.kept", "mbox_open", "readers and refused openers do not take it away", NEED_DELIVERY,
	 not_dropped},
	{"lock.neighbours", "mbox_open", "20 other mailboxes open at the same time", NEED_DELIVERY,
	 lock_neighbours},
	{"lock.half-open", "mbox_open", "a handle that is not ready yet goes back by mbox_close",
	 NEED_DELIVERY, half_open},
	{"lock.processes", "mbox_open", "a second exclusive opener in another process: PM_BUSY",
	 NEED_DELIVERY | NEED_SHARED, other_process},
	{"lock.dead-holder", "mbox_open",
	 "a killed session's lock is released, its mail is all there", NEED_DELIVERY | NEED_SHARED,
	 dead_holder},
	{"lock.threads", "mbox_open; R6", "six threads: never two holders", NEED_DELIVERY,
	 never_two},
	{0},
};
