/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/visit.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "mailbox/volume.h"

static int32_t
visit_enter(struct visit *v, struct caller *c, enum call_class cls, const char *method, int64_t ms,
	    struct host_call *call)
{
	int32_t rc = caller_enter(c, v->store, cls, method, ms, call);

	v->text[0] = '\0';
	if (rc != PM_OK && rc != PM_AGAIN)
		snprintf(v->text, sizeof(v->text), "no permit in time");
	return rc;
}

static int32_t
visit_done(struct visit *v, struct caller *c, const struct host_call *call, int32_t rc)
{
	if (caller_done(c, rc) == PM_AGAIN)
		return caller_ask(c, v->store, CALL_CONTINUE);
	if (rc != PM_OK && *call->error) /* not at each message's PM_END */
		snprintf(v->text, sizeof(v->text), "%s", call->error);
	return rc;
}

/* ---- known to the server --------------------------------------------------------------------- */

/* The background's visit with a lock is entered in the registry: a session that comes now waits for
 * it. This is done under the permit, so that nobody waits for a visit that waits for its turn. */
static int32_t
visit_claim(struct visit *v, const struct caller *c, const struct pm_user *u, uint32_t flags)
{
	enum registry_answer answer;

	if (!v->background || !(flags & PM_OPEN_EXCLUSIVE) || v->claim)
		return PM_OK;
	answer = registry_claim_background(v->store->section, u->key.p, u->key.n,
					   slot_get_token(c->task->slot), &v->claim);
	if (answer == REGISTRY_MINE)
		return PM_OK;
	snprintf(v->text, sizeof(v->text), "%s",
		 answer == REGISTRY_HELD ? "it is open in a session" : "no memory");
	return answer == REGISTRY_HELD ? PM_BUSY : PM_NOMEM;
}

static void
visit_unclaim(struct visit *v)
{
	registry_release(v->claim);
	v->claim = NULL;
}

bool
visit_wanted(const struct visit *v)
{
	return registry_is_wanted(v->claim);
}

/* ---- open, and its records ------------------------------------------------------------------- */

int32_t
visit_open(struct visit *v, struct caller *c, const struct pm_user *u, uint32_t flags)
{
	struct backend *b = v->store;
	bool held = v->mbox != NULL;
	struct host_call call;
	int32_t rc = visit_enter(v, c, held ? CALL_CONTINUE : CALL_BEGIN, "mbox_open",
				 b->limits.scan_ms, &call);

	if (rc != PM_OK)
		return rc;
	rc = held ? PM_OK : volume_find(b->vol, NULL, v->text, sizeof(v->text));
	if (rc == PM_OK)
		rc = visit_claim(v, c, u, flags);
	if (rc != PM_OK)
		return rc;
	rc = host_mbox_open(b->inst, &call, u, flags, &v->count, &v->mbox);
	if (rc != PM_OK && rc != PM_AGAIN)
		v->mbox = NULL; /* a failure ends a handle that was not ready yet */
	if (!v->mbox)
		visit_unclaim(v);
	c->holds += v->mbox && !held;
	c->holds -= !v->mbox && held;
	v->at = 0;
	if (rc == PM_OK)
		secret_random(v->op_id, sizeof(v->op_id));
	return visit_done(v, c, &call, rc);
}

int32_t
visit_info(struct visit *v, struct caller *c, uint64_t first, size_t n, uint32_t want,
	   struct pm_msg *ret)
{
	struct backend *b = v->store;
	struct host_call call;
	int32_t rc = visit_enter(v, c, CALL_CONTINUE, "mbox_info", b->limits.scan_ms, &call);

	if (rc != PM_OK)
		return rc;
	return visit_done(v, c, &call,
			  host_mbox_info(b->inst, v->mbox, &call, first, n, want, ret));
}

int32_t
visit_next(struct visit *v, struct caller *c, uint32_t want, struct pm_msg ret[VISIT_SLICE],
	   size_t *ret_n)
{
	uint64_t left = v->count - v->at;
	size_t n = left < VISIT_SLICE ? (size_t)left : VISIT_SLICE;
	int32_t rc = n > 0 ? visit_info(v, c, v->at, n, want, ret) : PM_OK;

	*ret_n = rc == PM_OK ? n : 0;
	v->at += *ret_n;
	return rc;
}

/* ---- one message ----------------------------------------------------------------------------- */

int32_t
visit_begin_message(struct visit *v, struct caller *c, uint64_t index)
{
	struct backend *b = v->store;
	struct host_call call;
	int32_t rc = visit_enter(v, c, CALL_BEGIN, "msg_open", b->limits.call_ms, &call);

	if (rc != PM_OK)
		return rc;
	return visit_done(v, c, &call, host_msg_open(b->inst, v->mbox, &call, index, &v->msg));
}

static void
close_message(struct visit *v, struct host_call *call)
{
	if (v->msg)
		host_msg_close(v->store->inst, v->msg, call);
	v->msg = NULL;
}

int32_t
visit_read(struct visit *v, struct caller *c, void *buf, size_t cap, size_t *ret_got)
{
	struct backend *b = v->store;
	struct host_call call;
	int32_t rc;

	*ret_got = 0;
	rc = visit_enter(v, c, CALL_CONTINUE, "msg_read", b->limits.call_ms, &call);
	if (rc != PM_OK)
		return rc;
	rc = host_msg_read(b->inst, v->msg, &call, buf, cap, ret_got);
	if (rc == PM_END)
		close_message(v, &call);
	return visit_done(v, c, &call, rc);
}

void
visit_end_message(struct visit *v, struct caller *c)
{
	struct host_call call;

	if (v->msg && visit_enter(v, c, CALL_GIVE_BACK, "msg_close", v->store->limits.call_ms,
				  &call) == PM_OK)
		close_message(v, &call);
}

/* ---- back ------------------------------------------------------------------------------------ */

/* The permit for a commit. A commit that was begun is waited for however long it takes. */
static int32_t
visit_enter_commit(struct visit *v, struct caller *c, struct host_call *call)
{
	struct backend *b = v->store;
	int64_t ms = b->limits.commit_ms;

	return v->committing ? caller_enter_home(c, b, "mbox_commit", ms, call)
			     : visit_enter(v, c, CALL_GIVE_BACK, "mbox_commit", ms, call);
}

int32_t
visit_commit(struct visit *v, struct caller *c, const struct conf *conf, struct pm_commit *what,
	     struct quota_hold *h, uint64_t *ret_done)
{
	struct backend *b = v->store;
	struct host_call call;
	int32_t rc = visit_enter_commit(v, c, &call);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK) {
		what->n = v->count;
		memcpy(call.pm.op_id, v->op_id, sizeof(v->op_id));
		rc = caller_done(c, host_mbox_commit(b->inst, v->mbox, &call, what, ret_done));
		v->committing = rc == PM_AGAIN;
		if (rc == PM_AGAIN)
			return caller_ask_home(c, b);
		if (rc != PM_OK)
			snprintf(v->text, sizeof(v->text), "%s", call.error);
	}
	quota_domain_end(conf, h, rc);
	return rc;
}

int32_t
visit_close(struct visit *v, struct caller *c)
{
	struct backend *b = v->store;
	struct host_call call;

	if (!v->mbox)
		return PM_OK;
	if (caller_enter_home(c, b, "mbox_close", b->limits.call_ms, &call) != PM_OK)
		return PM_AGAIN;
	close_message(v, &call);
	host_mbox_close(b->inst, v->mbox, &call);
	v->mbox = NULL;
	v->committing = false;
	visit_unclaim(v);
	c->holds--;
	return PM_OK;
}
