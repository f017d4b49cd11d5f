/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/post.h"

#include <stdio.h>
#include <string.h>

#include "mailbox/volume.h"

static int32_t
post_enter(struct post *p, struct caller *c, enum call_class cls, const char *method, int64_t ms,
	   struct host_call *call)
{
	int32_t rc = caller_enter(c, p->store, cls, method, ms, call);

	p->text[0] = '\0';
	if (rc == PM_OK)
		memcpy(call->pm.op_id, p->op_id, sizeof(p->op_id));
	else if (rc != PM_AGAIN)
		snprintf(p->text, sizeof(p->text), "no permit in time");
	return rc;
}

/* Notes the result of a call. */
static int32_t
post_done(struct post *p, struct caller *c, const struct host_call *call, int32_t rc)
{
	if (caller_done(c, rc) == PM_AGAIN)
		return caller_ask(c, p->store, CALL_CONTINUE);
	if (rc != PM_OK)
		snprintf(p->text, sizeof(p->text), "%s", call->error);
	return rc;
}

int32_t
post_begin(struct post *p, struct caller *c, uint64_t octets, uint32_t flags)
{
	struct backend *b = p->store;
	struct host_call call;
	int32_t rc = post_enter(p, c, CALL_BEGIN, "dlv_begin", b->limits.call_ms, &call);

	if (rc != PM_OK)
		return rc;
	rc = volume_find(b->vol, &p->mount, p->text, sizeof(p->text));
	if (rc != PM_OK)
		return rc;
	rc = host_dlv_begin(b->inst, &call, octets, flags, &p->dlv);
	if (rc == PM_OK)
		c->holds++;
	else
		p->dlv = NULL;
	return post_done(p, c, &call, rc);
}

int32_t
post_rcpt(struct post *p, struct caller *c, const struct pm_rcpt *r)
{
	struct backend *b = p->store;
	struct host_call call;
	int32_t rc = post_enter(p, c, CALL_CONTINUE, "dlv_rcpt", b->limits.call_ms, &call);

	return rc != PM_OK ? rc : post_done(p, c, &call, host_dlv_rcpt(b->inst, p->dlv, &call, r));
}

int32_t
post_write(struct post *p, struct caller *c, const void *buf, size_t n)
{
	struct backend *b = p->store;
	struct host_call call;
	int32_t rc = post_enter(p, c, CALL_CONTINUE, "dlv_write", b->limits.call_ms, &call);

	return rc != PM_OK ? rc
			   : post_done(p, c, &call, host_dlv_write(b->inst, p->dlv, &call, buf, n));
}

int32_t
post_prepare(struct post *p, struct caller *c, struct pm_result *results)
{
	struct backend *b = p->store;
	struct host_call call;
	int32_t rc = post_enter(p, c, CALL_CONTINUE, "dlv_prepare", b->limits.commit_ms, &call);

	return rc != PM_OK
		       ? rc
		       : post_done(p, c, &call, host_dlv_prepare(b->inst, p->dlv, &call, results));
}

/* The permit for a commit. A commit that was begun is waited for however long it takes. */
static int32_t
post_enter_commit(struct post *p, struct caller *c, struct host_call *call)
{
	struct backend *b = p->store;
	int32_t rc;

	if (!p->committing) {
		rc = post_enter(p, c, CALL_GIVE_BACK, "dlv_commit", b->limits.commit_ms, call);
		return rc != PM_OK ? rc : volume_stayed(b->vol, p->mount, p->text, sizeof(p->text));
	}
	rc = caller_enter_home(c, b, "dlv_commit", b->limits.commit_ms, call);
	memcpy(call->pm.op_id, p->op_id, sizeof(p->op_id));
	return rc;
}

int32_t
post_commit(struct post *p, struct caller *c, struct pm_result *results)
{
	struct backend *b = p->store;
	struct host_call call;
	int32_t rc = post_enter_commit(p, c, &call);

	if (rc != PM_OK)
		return rc;
	rc = caller_done(c, host_dlv_commit(b->inst, p->dlv, &call, results));
	p->committing = rc == PM_AGAIN;
	if (rc == PM_AGAIN)
		return caller_ask_home(c, b);
	p->dlv = NULL;
	c->holds--;
	if (rc != PM_OK)
		snprintf(p->text, sizeof(p->text), "%s", call.error);
	return rc;
}

int32_t
post_abort(struct post *p, struct caller *c)
{
	struct backend *b = p->store;
	struct host_call call;

	if (!p->dlv)
		return PM_OK;
	if (caller_enter_home(c, b, "dlv_abort", b->limits.call_ms, &call) != PM_OK)
		return PM_AGAIN;
	memcpy(call.pm.op_id, p->op_id, sizeof(p->op_id));
	host_dlv_abort(b->inst, p->dlv, &call);
	p->dlv = NULL;
	p->committing = false;
	c->holds--;
	return PM_OK;
}

void
post_settle(const struct post *p, const struct conf *c, struct quota_hold *h, uint64_t octets,
	    int32_t rc)
{
	volume_wrote(p->store->vol, octets, rc);
	if (h)
		quota_domain_end(c, h, rc);
}
