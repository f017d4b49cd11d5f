/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/letter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/usercopy.h"
#include "base/clock.h"
#include "mailbox/volume.h"

#define SLICE_MS 100
#define PIECE 32768

static int32_t
letter_done(struct letter *l, int32_t rc, const char *text)
{
	l->phase = LETTER_DONE;
	l->rc = rc;
	if (text)
		snprintf(l->text, sizeof(l->text), "%s", text);
	return rc;
}

/* On with the next phase, under the same permit if there is one. */
static int32_t
letter_go(struct letter *l, enum letter_phase phase)
{
	l->phase = phase;
	return PM_OK;
}

void
letter_begin(struct letter *l)
{
	l->phase = LETTER_LOOKUP;
	find_begin(&l->find, l->conf, "deliver", "", false, l->name);
}

/* ---- the account ----------------------------------------------------------------------------- */

static int32_t
letter_keep_user(struct letter *l, const struct pm_user *u)
{
	struct pm_user full = *u;
	size_t n;

	quota_fill(l->conf, &full);
	n = user_bytes(&full);
	l->user_mem = n < SIZE_MAX ? malloc(n) : NULL;
	if (!l->user_mem)
		return PM_NOMEM;
	user_pack(&full, l->user_mem, &l->user);
	return PM_OK;
}

static int32_t
letter_lookup(struct letter *l, struct caller *c)
{
	const struct pm_user *u = &l->find.user;
	const struct conf_section *storage;
	int32_t rc = find_step(&l->find, c);

	if (rc == PM_AGAIN)
		return rc;
	l->nobody = rc != PM_OK && rc != PM_MOVED && !l->find.method;
	if (rc != PM_OK)
		return letter_done(l, rc, l->find.text);
	if (recipient_lacks(u))
		return letter_done(l, PM_PERM, recipient_lacks(u));
	storage = l->find.storage;
	if (!storage)
		return letter_done(l, PM_PERM,
				   "the account names a storage section that is not there");
	rc = letter_keep_user(l, u);
	arena_reset(c->arena);
	if (rc != PM_OK)
		return letter_done(l, rc, "out of memory");
	if (l->utf8 && !storage->backend->can_utf8)
		return letter_done(l, PM_PERM, "its store takes no internationalized mail");
	l->post.store = storage->backend;
	memcpy(l->post.op_id, l->op_id, sizeof(l->op_id));
	return letter_go(l, LETTER_ROOM);
}

/* ---- is there room? -------------------------------------------------------------------------- */

/* The mailbox's usage, if a limit depends on it. */
static int32_t
letter_usage(struct letter *l, struct caller *c, struct host_call *call, struct pm_stat *st)
{
	struct backend *b = l->post.store;
	int32_t rc;

	if (!quota_wants_stat(&l->limits))
		return PM_OK;
	l->asked = true;
	rc = caller_done(c, host_box_stat(b->inst, call, &l->user, st));
	if (rc == PM_AGAIN)
		return caller_ask(c, b, CALL_CONTINUE);
	if (rc == PM_NOENT || rc == PM_UNSUPPORTED)
		return PM_OK;
	snprintf(l->text, sizeof(l->text), "%s", call->error);
	return rc;
}

static int32_t
letter_check_quota(struct letter *l, struct caller *c, struct host_call *call)
{
	struct pm_stat st = {.size = sizeof(st)};
	int32_t rc;

	quota_limits(l->post.store, &l->user, &l->limits);
	rc = letter_usage(l, c, call, &st);
	if (rc == PM_OK)
		rc = quota_check(&l->limits, &st, l->octets, l->text);
	if (rc == PM_OK)
		rc = quota_domain_take(l->conf, &l->limits, l->octets, &l->hold, l->text);
	return rc;
}

static int32_t
letter_room(struct letter *l, struct caller *c)
{
	struct backend *b = l->post.store;
	off_t size = lseek(l->fd, 0, SEEK_END);
	struct host_call call;
	int32_t rc;

	l->octets = (size > 0 ? (uint64_t)size : 0) + l->head_n;
	rc = caller_enter(c, b, l->asked ? CALL_CONTINUE : CALL_BEGIN, "box_stat",
			  b->limits.scan_ms, &call);
	if (rc == PM_OK)
		rc = volume_enter(b->vol, l->octets, NULL, l->text, sizeof(l->text));
	if (rc == PM_OK)
		rc = letter_check_quota(l, c, &call);
	if (rc == PM_AGAIN)
		return rc;
	return rc == PM_OK ? letter_go(l, LETTER_BEGIN) : letter_done(l, rc, NULL);
}

/* ---- delivery -------------------------------------------------------------------------------- */

/* Gives the handle back, whatever happened. */
static int32_t
letter_give_up(struct letter *l, int32_t rc)
{
	quota_domain_give_back(l->conf, &l->hold);
	l->rc = rc;
	if (!l->text[0])
		snprintf(l->text, sizeof(l->text), "%s", l->post.text);
	return letter_go(l, LETTER_ABORT);
}

static int32_t
letter_abort(struct letter *l, struct caller *c)
{
	if (post_abort(&l->post, c) == PM_AGAIN)
		return PM_AGAIN;
	/* an earlier attempt delivered it; its owner may even have deleted it since */
	if (l->rc == PM_EXISTS && l->uidl[0])
		return letter_done(l, PM_OK, "");
	return letter_done(l, l->rc, NULL);
}

static void
letter_make_uidl(struct letter *l)
{
	for (size_t k = 0; k < sizeof(l->op_id); k++)
		snprintf(l->uidl + 2 * k, 3, "%02x", l->op_id[k]);
}

static int32_t
letter_open(struct letter *l, struct caller *c)
{
	int32_t rc;

	if (l->once && l->post.store->can_import)
		letter_make_uidl(l);
	rc = post_begin(&l->post, c, l->octets, l->uidl[0] ? PM_DLVF_IMPORT : 0);
	if (rc == PM_AGAIN)
		return rc;
	return rc == PM_OK ? letter_go(l, LETTER_RCPT) : letter_give_up(l, rc);
}

static int32_t
letter_rcpt(struct letter *l, struct caller *c)
{
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = &l->user,
			    .head = {l->head, l->head_n},
			    .uidl = {l->uidl, strlen(l->uidl)}};
	int32_t rc = post_rcpt(&l->post, c, &r);

	if (rc == PM_AGAIN)
		return rc;
	return rc == PM_OK ? letter_go(l, LETTER_WRITE) : letter_give_up(l, rc);
}

static int32_t
letter_write(struct letter *l, struct caller *c)
{
	int64_t until = mono_ms() + SLICE_MS;
	char buf[PIECE];

	while (mono_ms() < until) {
		ssize_t got = pread(l->fd, buf, sizeof(buf), l->at);
		int32_t rc;

		if (got < 0 || caller_should_end(c)) {
			snprintf(l->text, sizeof(l->text), "%s",
				 got < 0 ? strerrordesc_np(errno)
					 : "given up: the server ends, or its time is over");
			return letter_give_up(l, got < 0 ? PM_TEMP : PM_CANCELLED);
		}
		if (got == 0)
			return letter_go(l, LETTER_PREPARE);
		rc = post_write(&l->post, c, buf, (size_t)got);
		if (rc == PM_AGAIN)
			return rc;
		if (rc != PM_OK)
			return letter_give_up(l, rc);
		l->at += got;
	}
	return caller_ask(c, l->post.store, CALL_CONTINUE);
}

static void
letter_new_result(struct letter *l)
{
	memset(&l->result, 0, sizeof(l->result));
	l->result.size = sizeof(l->result);
}

static int32_t
letter_prepare(struct letter *l, struct caller *c)
{
	int32_t rc;

	letter_new_result(l);
	rc = post_prepare(&l->post, c, &l->result);
	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK)
		rc = l->result.rc;
	return rc == PM_OK ? letter_go(l, LETTER_COMMIT) : letter_give_up(l, rc);
}

static int32_t
letter_commit(struct letter *l, struct caller *c)
{
	int32_t rc;

	letter_new_result(l);
	rc = post_commit(&l->post, c, &l->result);
	if (rc == PM_AGAIN)
		return rc;
	if (l->post.dlv)
		return letter_give_up(l, rc); /* it was not begun */
	if (rc == PM_OK)
		rc = l->result.rc;
	post_settle(&l->post, l->conf, &l->hold, l->octets, rc);
	if (rc == PM_EXISTS && l->uidl[0]) /* likewise */
		rc = PM_OK;
	return letter_done(l, rc, rc == PM_OK ? "" : l->post.text);
}

int32_t
letter_step(struct letter *l, struct caller *c)
{
	static int32_t (*const steps[])(struct letter * l, struct caller * c) = {
		[LETTER_LOOKUP] = letter_lookup, [LETTER_ROOM] = letter_room,
		[LETTER_BEGIN] = letter_open,    [LETTER_RCPT] = letter_rcpt,
		[LETTER_WRITE] = letter_write,   [LETTER_PREPARE] = letter_prepare,
		[LETTER_COMMIT] = letter_commit, [LETTER_ABORT] = letter_abort,
	};

	while (l->phase != LETTER_DONE)
		if (steps[l->phase](l, c) == PM_AGAIN)
			return PM_AGAIN;
	return l->rc;
}

void
letter_fini(struct letter *l)
{
	free(l->user_mem);
	l->user_mem = NULL;
}
