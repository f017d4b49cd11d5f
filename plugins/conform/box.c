/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes and mail, through the descriptor's tables. */
#include "box.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

#define USERS 100

struct pm_str
kit_str(const char *s)
{
	return (struct pm_str){s, strlen(s)};
}

static char names[USERS][32];

static void
make_names(void)
{
	for (unsigned k = 0; k < USERS; k++)
		snprintf(names[k], sizeof(names[k]), "conform%u@example.org", k);
}

struct pm_user
kit_user(unsigned k)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pm_user u;

	EXPECT(k < USERS, "the kit knows %d users", USERS);
	EXPECT(pthread_once(&once, make_names) == 0, "pthread_once failed");
	host_user_init(&u);
	u.name = u.key = kit_str(names[k]);
	u.domain = kit_str("example.org");
	return u;
}

/* ---- open, close ----------------------------------------------------------------------------- */

int32_t
box_try(struct inst *in, unsigned user, uint32_t flags, struct box *ret)
{
	struct pm_user u = kit_user(user);
	struct box b = {.in = in, .h = NULL, .n = 0};
	int32_t rc = PM_AGAIN;

	for (unsigned i = 0; rc == PM_AGAIN && i < AGAIN_MAX; i++) {
		rc = in->m->storage->mbox_open(in->i, kit_pm(), &u, flags, &b.n, &b.h);
		EXPECT(rc != PM_AGAIN || b.h, "mbox_open: PM_AGAIN without a handle in the making");
	}
	EXPECT(rc != PM_OK || b.h, "mbox_open: PM_OK without a handle");
	if (rc == PM_OK)
		*ret = b;
	return rc;
}

static int32_t
box_stat_all(struct inst *in, unsigned user, uint32_t flags, struct pm_stat *ret)
{
	struct pm_user u = kit_user(user);
	int32_t rc = PM_AGAIN;

	for (unsigned i = 0; rc == PM_AGAIN && i < AGAIN_MAX; i++) {
		struct host_call *c = kit_call();

		c->pm.flags = i == 0 ? flags : 0;
		rc = in->m->storage->box_stat(in->i, &c->pm, &u, ret);
	}
	return rc;
}

int32_t
box_totals(struct inst *in, unsigned user, struct pm_stat *ret)
{
	return box_stat_all(in, user, 0, ret);
}

int32_t
box_recount(struct inst *in, unsigned user, struct pm_stat *ret)
{
	return box_stat_all(in, user, PM_CALLF_RECOUNT, ret);
}

struct box
box_open(struct inst *in, unsigned user, uint32_t flags)
{
	struct box b = {0};

	expect_rc("mbox_open", box_try(in, user, flags, &b), PM_OK);
	return b;
}

struct box
box_open_dead(struct inst *in, unsigned user)
{
	int64_t give_up = kit_now_ms() + (int64_t)setup.seconds * 800;
	struct box b = {0};
	int32_t rc;

	while ((rc = box_try(in, user, PM_OPEN_EXCLUSIVE, &b)) == PM_BUSY && kit_now_ms() < give_up)
		usleep(100000);
	expect_rc("mbox_open after the holder was killed", rc, PM_OK);
	return b;
}

void
box_close(struct box *b)
{
	b->in->m->storage->mbox_close(b->h, kit_pm());
	b->h = NULL;
}

/* ---- info, read ------------------------------------------------------------------------------ */

void
box_info(struct box *b, uint64_t first, size_t n, uint32_t want, struct pm_msg *ret)
{
	int32_t rc = PM_AGAIN;

	for (unsigned i = 0; rc == PM_AGAIN && i < AGAIN_MAX; i++) {
		memset(ret, 0, n * sizeof(*ret));
		for (size_t k = 0; k < n; k++)
			ret[k].size = sizeof(*ret);
		rc = b->in->m->storage->mbox_info(b->h, kit_pm(), first, n, sizeof(*ret), want,
						  ret);
	}
	expect_rc("mbox_info", rc, PM_OK);
}

struct pm_msg
box_one(struct box *b, uint64_t index, uint32_t want)
{
	struct pm_msg m;

	box_info(b, index, 1, want, &m);
	return m;
}

struct bytes
box_read(struct box *b, uint64_t index, size_t cap)
{
	const struct pm_storage *s = b->in->m->storage;
	struct bytes r = {0};
	size_t room = 0;
	char *buf = malloc(cap + 1);
	void *msg = NULL;
	int32_t rc;

	EXPECT(buf, "no memory");
	expect_rc("msg_open", s->msg_open(b->h, kit_pm(), index, &msg), PM_OK);
	EXPECT(msg, "msg_open: PM_OK without a handle");
	for (;;) {
		size_t got = 0;

		buf[cap] = '\x5a';
		rc = s->msg_read(msg, kit_pm(), buf, cap, &got);
		EXPECT(buf[cap] == '\x5a', "msg_read wrote after the buffer");
		if (rc == PM_END)
			break;
		expect_rc("msg_read", rc, PM_OK);
		EXPECT(got >= 1 && got <= cap, "msg_read: PM_OK with %zu bytes in a buffer of %zu",
		       got, cap);
		if (room - r.n < got) {
			room = 2 * (r.n + got);
			r.p = realloc(r.p, room);
			EXPECT(r.p, "no memory");
		}
		memcpy(r.p + r.n, buf, got);
		r.n += got;
	}
	s->msg_close(msg, kit_pm());
	free(buf);
	return r;
}

int64_t
box_find(struct box *b, const char *part)
{
	for (uint64_t i = 0; i < b->n; i++) {
		struct bytes t = box_read(b, i, 4096);
		bool there = t.n > 0 && memmem(t.p, t.n, part, strlen(part));

		free(t.p);
		if (there)
			return (int64_t)i;
	}
	return -1;
}

/* ---- commit ---------------------------------------------------------------------------------- */

int32_t
box_commit(struct box *b, const uint8_t *del, const uint8_t *retrieved, const uint8_t *restore,
	   int64_t keep_until_ms)
{
	struct pm_commit c = {.size = sizeof(c),
			      .n = b->n,
			      .del = del,
			      .retrieved = retrieved,
			      .restore = restore,
			      .now_ms = (int64_t)time(NULL) * 1000,
			      .keep_until_ms = keep_until_ms};
	uint8_t id[16];
	uint64_t done = 0;
	int32_t rc = PM_AGAIN;

	/* another one for each commit, also of other processes and runs */
	EXPECT(getrandom(id, sizeof(id), 0) == sizeof(id), "getrandom failed");
	for (unsigned i = 0; rc == PM_AGAIN && i < AGAIN_MAX; i++) {
		struct host_call *call = kit_call();

		memcpy(call->pm.op_id, id, sizeof(id));
		rc = b->in->m->storage->mbox_commit(b->h, &call->pm, &c, &done);
	}
	return rc;
}

void
kit_empty(struct inst *in, unsigned user)
{
	uint32_t flags = PM_OPEN_EXCLUSIVE | (in->m->flags & PM_F_CAN_HIDE ? PM_OPEN_HIDDEN : 0);
	struct box b = box_open(in, user, flags);
	uint8_t *all = malloc(b.n / 8 + 1);

	EXPECT(all, "no memory");
	memset(all, 0xff, b.n / 8 + 1);
	if (b.n > 0)
		expect_rc("mbox_commit", box_commit(&b, all, NULL, NULL, 0), PM_OK);
	box_close(&b);
	free(all);
}

/* ---- delivery -------------------------------------------------------------------------------- */

void
kit_deliver(struct inst *in, unsigned user, const void *text, size_t n)
{
	const struct pm_delivery *d = in->m->delivery;
	struct pm_user u = kit_user(user);
	struct pm_rcpt r = {.size = sizeof(r), .user = &u};
	struct pm_result res = {.size = sizeof(res)};
	void *dlv = NULL;
	int32_t rc;

	expect_rc("dlv_begin", d->dlv_begin(in->i, kit_pm(), n, 0, &dlv), PM_OK);
	expect_rc("dlv_rcpt", d->dlv_rcpt(dlv, kit_pm(), &r), PM_OK);
	if (n > 0)
		expect_rc("dlv_write", d->dlv_write(dlv, kit_pm(), text, n), PM_OK);
	while ((rc = d->dlv_prepare(dlv, kit_pm(), &res, sizeof(res))) == PM_AGAIN)
		;
	expect_rc("dlv_prepare", rc, PM_OK);
	expect_rc("dlv_prepare, this recipient,", res.rc, PM_OK);
	while ((rc = d->dlv_commit(dlv, kit_pm(), &res, sizeof(res))) == PM_AGAIN)
		;
	expect_rc("dlv_commit", rc, PM_OK);
	expect_rc("dlv_commit, this recipient,", res.rc, PM_OK);
}

void
kit_deliver_text(struct inst *in, unsigned user, const char *text)
{
	kit_deliver(in, user, text, strlen(text));
}

void
kit_deliver_many(struct inst *in, unsigned user, const char *tag, unsigned n)
{
	char text[400];

	for (unsigned k = 0; k < n; k++) {
		snprintf(text, sizeof(text),
			 "From: kit@example.org\r\nSubject: %s %u.\r\n\r\nthe body of %s %u.\r\n.a "
			 "dot\r\nlast\r\n",
			 tag, k, tag, k);
		kit_deliver_text(in, user, text);
	}
}

/* ---- octets ---------------------------------------------------------------------------------- */

size_t
kit_wire(struct bytes stored, char **ret)
{
	char *out = malloc(stored.n * 2 + 3);
	size_t n = 0;

	EXPECT(out, "no memory");
	for (size_t i = 0; i < stored.n; i++) {
		if (stored.p[i] == '\n' && (n == 0 || out[n - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = stored.p[i];
	}
	/* the last line's end is supplied; a CR alone is data */
	if (n > 0 && out[n - 1] != '\n') {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	if (ret)
		*ret = out;
	else
		free(out);
	return n;
}
