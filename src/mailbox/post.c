/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/post.h"

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
post_done(struct post *d, int32_t rc, const char *text)
{
	d->phase = POST_DONE;
	d->rc = rc;
	if (text)
		snprintf(d->text, sizeof(d->text), "%s", text);
	return rc;
}

void
post_begin(struct post *d)
{
	d->phase = POST_LOOKUP;
	find_begin(&d->find, d->conf, "deliver", "", false, d->name);
}

/* ---- the account ----------------------------------------------------------------------------- */

/* storage: whose user it is. */
static int32_t
post_keep_user(struct post *d, const struct pm_user *u, const struct backend *storage)
{
	struct pm_user full = *u;
	size_t n;

	quota_fill(d->conf, &full);
	if (d->no_quota && storage->counts) /* which refuses by itself */
		full.quota_octets = full.quota_msgs = full.domain_octets = full.domain_msgs = 0;
	n = user_bytes(&full);
	d->user_mem = n < SIZE_MAX ? malloc(n) : NULL;
	if (!d->user_mem)
		return PM_NOMEM;
	user_pack(&full, d->user_mem, &d->user);
	return PM_OK;
}

static int32_t
post_lookup(struct post *d, struct errand *e)
{
	const struct pm_user *u = &d->find.user;
	const struct conf_section *storage;
	int32_t rc = find_step(&d->find, &e->caller);

	if (rc == PM_AGAIN)
		return rc;
	d->nobody = rc != PM_OK && rc != PM_MOVED && !d->find.method;
	if (rc != PM_OK)
		return post_done(d, rc, d->find.text);
	if (recipient_lacks(u))
		return post_done(d, PM_PERM, recipient_lacks(u));
	storage = d->find.storage;
	rc = storage ? post_keep_user(d, u, storage->backend) : PM_PERM;
	arena_reset(&e->arena);
	if (!storage || rc != PM_OK)
		return post_done(d, storage ? rc : PM_PERM,
				 storage ? "out of memory"
					 : "the account names a storage section that is not there");
	if (d->utf8 && !storage->backend->can_utf8)
		return post_done(d, PM_PERM, "its store takes no internationalized mail");
	d->storage = storage->backend;
	d->phase = POST_BEGIN;
	errand_go(e, d->storage, CALL_BEGIN);
	return PM_AGAIN;
}

/* ---- delivery -------------------------------------------------------------------------------- */

static int32_t
post_check_quota(struct post *d, struct errand *e, uint64_t octets)
{
	struct pm_stat st = {.size = sizeof(st)};
	int32_t rc = PM_OK;

	quota_limits(d->storage, &d->user, &d->limits);
	if (d->no_quota)
		return quota_domain_take_anyway(d->conf, &d->limits, octets, 1, &d->hold, d->text);
	if (quota_wants_stat(&d->limits))
		rc = host_box_stat(d->storage->inst, &e->call, &d->user, &st);
	if (rc == PM_NOENT || rc == PM_UNSUPPORTED)
		rc = PM_OK;
	if (rc == PM_OK)
		rc = quota_check(&d->limits, &st, octets, d->text);
	if (rc == PM_OK)
		rc = quota_domain_take(d->conf, &d->limits, octets, &d->hold, d->text);
	return rc;
}

/* The handle goes home, whatever happened. */
static int32_t
post_give_up(struct post *d, struct errand *e, int32_t rc)
{
	if (d->dlv)
		host_dlv_abort(d->storage->inst, d->dlv, &e->call);
	d->dlv = NULL;
	e->holding = false;
	quota_domain_give_back(d->conf, &d->hold);
	/* an earlier try delivered it; its owner may even have deleted it since */
	if (rc == PM_EXISTS && d->uidl[0])
		return post_done(d, PM_OK, "");
	return post_done(d, rc, d->text[0] ? NULL : e->call.error);
}

static void
post_make_uidl(struct post *d)
{
	for (size_t k = 0; k < sizeof(d->op_id); k++)
		snprintf(d->uidl + 2 * k, 3, "%02x", d->op_id[k]);
}

static int32_t
post_open(struct post *d, struct errand *e)
{
	struct pm_rcpt r = {.size = sizeof(r), .user = &d->user, .head = {d->head, d->head_n}};
	off_t size = lseek(d->fd, 0, SEEK_END);
	uint64_t octets = d->octets = (size > 0 ? (uint64_t)size : 0) + d->head_n;
	int32_t rc = volume_enter(d->storage->vol, octets, &d->mount, d->text, sizeof(d->text));

	if (rc != PM_OK)
		return post_done(d, rc, NULL);
	rc = post_check_quota(d, e, octets);
	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		return post_give_up(d, e, rc);
	if (d->once && d->storage->can_import)
		post_make_uidl(d);
	r.uidl = (struct pm_str){d->uidl, strlen(d->uidl)};
	rc = host_dlv_begin(d->storage->inst, &e->call, octets, d->uidl[0] ? PM_DLVF_IMPORT : 0,
			    &d->dlv);
	if (rc != PM_OK) {
		d->dlv = NULL;
		return post_give_up(d, e, rc);
	}
	rc = host_dlv_rcpt(d->storage->inst, d->dlv, &e->call, &r);
	if (rc != PM_OK)
		return post_give_up(d, e, rc);
	e->holding = true;
	d->phase = POST_WRITE;
	return PM_AGAIN;
}

static int32_t
post_write_some(struct post *d, struct errand *e)
{
	int64_t until = mono_ms() + SLICE_MS;
	char buf[PIECE];

	while (mono_ms() < until) {
		ssize_t got = pread(d->fd, buf, sizeof(buf), d->at);
		int32_t rc;

		if (got < 0 || e->call.cancelled(e->call.ctx)) {
			snprintf(d->text, sizeof(d->text), "%s",
				 got < 0 ? strerrordesc_np(errno) : "the server ends");
			return post_give_up(d, e, got < 0 ? PM_TEMP : PM_CANCELLED);
		}
		if (got == 0) {
			d->phase = POST_PREPARE;
			return PM_AGAIN;
		}
		rc = host_dlv_write(d->storage->inst, d->dlv, &e->call, buf, (size_t)got);
		if (rc == PM_AGAIN)
			return rc;
		if (rc != PM_OK)
			return post_give_up(d, e, rc);
		d->at += got;
	}
	return PM_AGAIN;
}

static int32_t
post_prepare(struct post *d, struct errand *e)
{
	int32_t rc;

	memset(&d->result, 0, sizeof(d->result));
	d->result.size = sizeof(d->result);
	rc = host_dlv_prepare(d->storage->inst, d->dlv, &e->call, &d->result);
	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK)
		rc = d->result.rc;
	if (rc != PM_OK)
		return post_give_up(d, e, rc);
	d->phase = POST_COMMIT;
	return PM_AGAIN;
}

static int32_t
post_commit(struct post *d, struct errand *e)
{
	int32_t rc;

	rc = d->committing ? PM_OK
			   : volume_stayed(d->storage->vol, d->mount, d->text, sizeof(d->text));
	if (rc != PM_OK)
		return post_give_up(d, e, rc);
	memset(&d->result, 0, sizeof(d->result));
	d->result.size = sizeof(d->result);
	memcpy(e->call.pm.op_id, d->op_id, sizeof(d->op_id));
	rc = host_dlv_commit(d->storage->inst, d->dlv, &e->call, &d->result);
	d->committing = rc == PM_AGAIN;
	if (rc == PM_AGAIN)
		return rc;
	d->dlv = NULL; /* a commit gives the handle back */
	e->holding = false;
	if (rc == PM_OK)
		rc = d->result.rc;
	volume_wrote(d->storage->vol, d->octets, rc);
	quota_domain_end(d->conf, &d->hold, rc);
	if (rc == PM_EXISTS && d->uidl[0]) /* likewise */
		rc = PM_OK;
	return post_done(d, rc, rc == PM_OK ? "" : e->call.error);
}

int32_t
post_step(struct post *d, struct errand *e)
{
	switch (d->phase) {
	case POST_LOOKUP:
		return post_lookup(d, e);
	case POST_BEGIN:
		return post_open(d, e);
	case POST_WRITE:
		return post_write_some(d, e);
	case POST_PREPARE:
		return post_prepare(d, e);
	case POST_COMMIT:
		return post_commit(d, e);
	default:
		return d->rc;
	}
}

void
post_fini(struct post *d)
{
	free(d->user_mem);
	d->user_mem = NULL;
}
