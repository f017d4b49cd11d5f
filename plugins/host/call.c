/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function here has the same shape: introduce the thread, see that the method exists, call,
 * and check the answer before the server believes it. Nothing is allocated.
 */
#include "call.h"

#include <string.h>

#include <restante/module.h>

#include "answer.h"
#include "thread.h"

/* ---- the call record ------------------------------------------------------------------------- */

static void *
call_alloc(const struct pm_call *pm, size_t n)
{
	const struct host_call *c = (const struct host_call *)(const void *)pm;

	return c->alloc ? c->alloc(c->ctx, n) : NULL;
}

static int32_t
call_cancelled(const struct pm_call *pm)
{
	const struct host_call *c = (const struct host_call *)(const void *)pm;

	return c->cancelled ? c->cancelled(c->ctx) : 0;
}

void
host_call_init(struct host_call *c, int64_t deadline_ms, uint64_t session_id)
{
	memset(&c->pm, 0, sizeof(c->pm));
	c->pm.size = sizeof(c->pm);
	c->pm.deadline_ms = deadline_ms;
	c->pm.session_id = session_id;
	c->pm.ctx = c->ctx;
	c->pm.alloc = call_alloc;
	c->pm.error = answer_error;
	c->pm.cancelled = call_cancelled;
	c->error[0] = '\0';
}

/* ---- what modules are handed, empty ---------------------------------------------------------- */

void
host_user_init(struct pm_user *u)
{
	memset(u, 0, sizeof(*u));
	u->size = sizeof(*u);
	u->rights = PM_RIGHTS_DEFAULT;
	u->expire_days = u->undo_days = u->login_delay_s = u->cache_s = PM_EXPIRE_SITE;
}

void
host_cred_init(struct pm_cred *c)
{
	memset(c, 0, sizeof(*c));
	c->size = sizeof(*c);
}

/* The fields of an accepted user must be within the ABI's limits. */
static int32_t
check_user(struct host_call *c, int32_t rc, const struct pm_user *u)
{
	if (rc != PM_OK)
		return rc;
	if (u->name.n > PM_NAME_MAX || u->key.n > PM_KEY_MAX || u->section.n > 64 ||
	    u->domain.n > PM_NAME_MAX)
		return answer_complain(c, PM_CORRUPT,
				       "the module gave a user with a name or key over the limits");
	if (u->n_attr > 256 || u->n_targets > 4096 || (u->n_attr && !u->attr) ||
	    (u->n_targets && !u->targets))
		return answer_complain(c, PM_CORRUPT,
				       "the module gave a user with impossible lists");
	return PM_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

int32_t
host_probe(struct host_inst *i, struct host_call *c)
{
	thread_enter(i);
	return i->desc->life->probe ? answer_final(c, i->desc->life->probe(i->inst, &c->pm))
				    : PM_OK;
}

int32_t
host_tick(struct host_inst *i, struct host_call *c)
{
	thread_enter(i);
	return i->desc->life->tick ? answer_known(c, i->desc->life->tick(i->inst, &c->pm)) : PM_OK;
}

int32_t
host_setup(struct host_inst *i, struct host_call *c, struct pm_str what)
{
	thread_enter(i);
	return i->desc->life->setup ? answer_known(c, i->desc->life->setup(i->inst, &c->pm, what))
				    : PM_UNSUPPORTED;
}

/* ---- auth ------------------------------------------------------------------------------------ */

uint64_t
host_caps(struct host_inst *i)
{
	uint64_t kinds = 0;

	if (!i->desc->auth || i->desc->auth->caps(i->inst, &kinds) != PM_OK)
		return 0;
	return kinds;
}

int32_t
host_verify(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
	    struct pm_user *ret)
{
	if (!i->desc->auth)
		return PM_UNSUPPORTED;
	thread_enter(i);
	host_user_init(ret);
	return check_user(c, answer_final(c, i->desc->auth->verify(i->inst, &c->pm, cred, ret)),
			  ret);
}

int32_t
host_lookup(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
	    struct pm_user *ret)
{
	if (!i->desc->auth)
		return PM_UNSUPPORTED;
	thread_enter(i);
	host_user_init(ret);
	return check_user(c, answer_final(c, i->desc->auth->lookup(i->inst, &c->pm, cred, ret)),
			  ret);
}

int32_t
host_secret(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
	    struct pm_secret *ret_secret, struct pm_user *ret)
{
	uint32_t kinds = ret_secret->kinds;
	int32_t rc;

	if (!i->desc->auth || !i->desc->auth->secret)
		return PM_UNSUPPORTED;
	thread_enter(i);
	memset(ret_secret, 0, sizeof(*ret_secret));
	ret_secret->size = sizeof(*ret_secret);
	ret_secret->kinds = kinds;
	host_user_init(ret);
	rc = check_user(
		c, answer_final(c, i->desc->auth->secret(i->inst, &c->pm, cred, ret_secret, ret)),
		ret);
	if (rc == PM_OK && !(ret_secret->kinds & kinds))
		return answer_complain(c, PM_CORRUPT,
				       "the module gave a secret of a kind that was not asked for");
	return rc;
}

int32_t
host_domain(struct host_inst *i, struct host_call *c, struct pm_str name)
{
	if (!i->desc->auth || !i->desc->auth->domain)
		return PM_UNSUPPORTED;
	thread_enter(i);
	return answer_final(c, i->desc->auth->domain(i->inst, &c->pm, name));
}

int32_t
host_event(struct host_inst *i, struct host_call *c, const struct pm_user *u, uint32_t what)
{
	if (!i->desc->auth || !i->desc->auth->event)
		return PM_UNSUPPORTED;
	thread_enter(i);
	return answer_final(c, i->desc->auth->event(i->inst, &c->pm, u, what));
}

/* ---- storage --------------------------------------------------------------------------------- */

int32_t
host_mbox_open(struct host_inst *i, struct host_call *c, const struct pm_user *u, uint32_t flags,
	       uint64_t *ret_count, void **ret_mbox)
{
	int32_t rc;

	if (!i->desc->storage)
		return PM_UNSUPPORTED;
	thread_enter(i);
	rc = answer_known(
		c, i->desc->storage->mbox_open(i->inst, &c->pm, u, flags, ret_count, ret_mbox));
	if (rc == PM_OK && !*ret_mbox)
		return answer_complain(c, PM_CORRUPT,
				       "the module opened a mailbox and gave no handle");
	if (rc == PM_END)
		rc = answer_complain(c, PM_TEMP, "the module answered out of turn");
	if (rc != PM_OK && rc != PM_AGAIN)
		*ret_mbox = NULL; /* a failure ends a handle that was not ready yet */
	return rc;
}

/* RFC 1939 s7: 1..70 characters 0x21..0x7E. */
static int
call_uidl_ok(const char *uidl, uint32_t n)
{
	if (n < 1 || n > PM_UIDL_MAX)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (uidl[i] < 0x21 || uidl[i] > 0x7e)
			return 0;
	return 1;
}

#define OCTETS_MAX (UINT64_C(1) << 50) /* a sum of 8,192 such sizes still fits */

/* Checks the fields of one record that were asked for. */
static int32_t
check_info(struct host_call *c, uint32_t want, const struct pm_msg *m)
{
	if ((want & PM_WANT_UIDL) && !call_uidl_ok(m->uidl, m->uidl_len))
		return answer_complain(c, PM_CORRUPT,
				       "the module gave a unique-id that is none (RFC 1939 s7)");
	if ((want & PM_WANT_OCTETS) && m->octets > OCTETS_MAX)
		return answer_complain(c, PM_CORRUPT,
				       "the module gave an impossible size of a message");
	if ((want & PM_WANT_META) && m->meta_len > sizeof(m->meta))
		return answer_complain(c, PM_CORRUPT,
				       "the module gave an impossible length of meta");
	return PM_OK;
}

int32_t
host_mbox_info(struct host_inst *i, void *mbox, struct host_call *c, uint64_t first, size_t n,
	       uint32_t want, struct pm_msg *ret)
{
	int32_t rc;

	thread_enter(i);
	memset(ret, 0, n * sizeof(*ret));
	for (size_t k = 0; k < n; k++)
		ret[k].size = sizeof(*ret);
	rc = answer_known(
		c, i->desc->storage->mbox_info(mbox, &c->pm, first, n, sizeof(*ret), want, ret));
	if (rc == PM_END)
		return answer_complain(c, PM_TEMP, "the module answered out of turn");
	for (size_t k = 0; k < n && rc == PM_OK; k++)
		rc = check_info(c, want, &ret[k]);
	return rc;
}

int32_t
host_msg_open(struct host_inst *i, void *mbox, struct host_call *c, uint64_t index, void **ret_msg)
{
	int32_t rc;

	thread_enter(i);
	*ret_msg = NULL;
	rc = answer_final(c, i->desc->storage->msg_open(mbox, &c->pm, index, ret_msg));
	if (rc == PM_OK && !*ret_msg)
		return answer_complain(c, PM_CORRUPT,
				       "the module opened a message and gave no handle");
	return rc;
}

int32_t
host_msg_read(struct host_inst *i, void *msg, struct host_call *c, void *buf, size_t cap,
	      size_t *ret_got)
{
	int32_t rc;

	thread_enter(i);
	*ret_got = 0;
	rc = answer_known(c, i->desc->storage->msg_read(msg, &c->pm, buf, cap, ret_got));
	if (rc == PM_AGAIN)
		return answer_complain(c, PM_TEMP, "the module answered out of turn");
	if (rc == PM_OK && (*ret_got == 0 || *ret_got > cap))
		return answer_complain(c, PM_CORRUPT,
				       "the module read an impossible number of bytes");
	return rc;
}

void
host_msg_close(struct host_inst *i, void *msg, struct host_call *c)
{
	thread_enter(i);
	i->desc->storage->msg_close(msg, &c->pm);
}

int32_t
host_mbox_commit(struct host_inst *i, void *mbox, struct host_call *c,
		 const struct pm_commit *commit, uint64_t *ret_done)
{
	int32_t rc;

	thread_enter(i);
	*ret_done = 0;
	rc = answer_known(c, i->desc->storage->mbox_commit(mbox, &c->pm, commit, ret_done));
	if (rc == PM_END)
		return answer_complain(c, PM_UNKNOWN, "the module answered a commit out of turn");
	if (*ret_done > commit->n)
		*ret_done = commit->n;
	return rc;
}

void
host_mbox_close(struct host_inst *i, void *mbox, struct host_call *c)
{
	thread_enter(i);
	i->desc->storage->mbox_close(mbox, &c->pm);
}

int32_t
host_box_list(struct host_inst *i, struct host_call *c, struct pm_str cursor, size_t n,
	      struct pm_box *ret, size_t *ret_got)
{
	int32_t rc;

	if (!i->desc->storage || !i->desc->storage->box_list)
		return PM_UNSUPPORTED;
	thread_enter(i);
	for (size_t k = 0; k < n; k++) {
		memset(&ret[k], 0, sizeof(ret[k]));
		ret[k].size = sizeof(ret[k]);
	}
	*ret_got = 0;
	rc = answer_known(c, i->desc->storage->box_list(i->inst, &c->pm, cursor, n, sizeof(*ret),
							ret, ret_got));
	if (rc != PM_OK)
		return rc;
	if (*ret_got > n)
		return answer_complain(c, PM_CORRUPT,
				       "the module listed more mailboxes than were asked for");
	for (size_t k = 0; k < *ret_got; k++)
		if (ret[k].key_len > PM_KEY_MAX || ret[k].cursor_len > PM_CURSOR_MAX)
			return answer_complain(
				c, PM_CORRUPT,
				"the module listed a mailbox key or cursor over the limits");
	return PM_OK;
}

int32_t
host_box_stat(struct host_inst *i, struct host_call *c, const struct pm_user *u,
	      struct pm_stat *ret)
{
	int32_t rc;

	if (!i->desc->storage || !i->desc->storage->box_stat)
		return PM_UNSUPPORTED;
	thread_enter(i);
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	rc = answer_known(c, i->desc->storage->box_stat(i->inst, &c->pm, u, ret));
	return rc == PM_END ? answer_complain(c, PM_TEMP, "the module answered out of turn") : rc;
}

int32_t
host_box_recount(struct host_inst *i, struct host_call *c, const struct pm_user *u,
		 struct pm_stat *ret)
{
	int32_t rc;

	c->pm.flags = PM_CALLF_RECOUNT;
	rc = host_box_stat(i, c, u, ret);
	c->pm.flags = 0;
	return rc;
}

int32_t
host_domain_stat(struct host_inst *i, struct host_call *c, struct pm_str domain, bool anew,
		 struct pm_stat *ret)
{
	int32_t rc;

	if (!i->desc->storage || !i->desc->storage->domain_stat)
		return PM_UNSUPPORTED;
	thread_enter(i);
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	c->pm.flags = anew ? PM_CALLF_RECOUNT : 0;
	rc = answer_known(c, i->desc->storage->domain_stat(i->inst, &c->pm, domain, ret));
	c->pm.flags = 0;
	return rc == PM_END ? answer_complain(c, PM_TEMP, "the module answered out of turn") : rc;
}

int32_t
host_box_delete(struct host_inst *i, struct host_call *c, const struct pm_user *u)
{
	if (!i->desc->storage || !i->desc->storage->box_delete)
		return PM_UNSUPPORTED;
	thread_enter(i);
	return answer_final(c, i->desc->storage->box_delete(i->inst, &c->pm, u));
}

int32_t
host_box_place(struct host_inst *i, struct host_call *c, const struct pm_user *u,
	       struct pm_str *ret)
{
	struct pm_str place = {NULL, 0};
	int32_t rc;

	if (!i->desc->storage || !i->desc->storage->box_place)
		return PM_UNSUPPORTED;
	thread_enter(i);
	rc = answer_final(c, i->desc->storage->box_place(i->inst, &c->pm, u, &place));
	if (rc == PM_OK && (!place.p || place.n == 0 || place.n > PM_PLACE_MAX))
		return answer_complain(
			c, PM_CORRUPT,
			"the module told no place of a mailbox, or a longer one than may be");
	if (rc == PM_OK)
		*ret = place;
	return rc;
}

/* ---- delivery -------------------------------------------------------------------------------- */

int32_t
host_dlv_begin(struct host_inst *i, struct host_call *c, uint64_t size_hint, uint32_t flags,
	       void **ret_dlv)
{
	int32_t rc;

	if (!i->desc->delivery)
		return PM_UNSUPPORTED;
	thread_enter(i);
	*ret_dlv = NULL;
	rc = answer_final(c,
			  i->desc->delivery->dlv_begin(i->inst, &c->pm, size_hint, flags, ret_dlv));
	if (rc == PM_OK && !*ret_dlv)
		return answer_complain(c, PM_CORRUPT,
				       "the module began a delivery and gave no handle");
	return rc;
}

int32_t
host_dlv_rcpt(struct host_inst *i, void *dlv, struct host_call *c, const struct pm_rcpt *r)
{
	thread_enter(i);
	return answer_final(c, i->desc->delivery->dlv_rcpt(dlv, &c->pm, r));
}

int32_t
host_dlv_write(struct host_inst *i, void *dlv, struct host_call *c, const void *buf, size_t n)
{
	thread_enter(i);
	return answer_final(c, i->desc->delivery->dlv_write(dlv, &c->pm, buf, n));
}

int32_t
host_dlv_prepare(struct host_inst *i, void *dlv, struct host_call *c, struct pm_result *ret)
{
	int32_t rc;

	thread_enter(i);
	rc = answer_known(c, i->desc->delivery->dlv_prepare(dlv, &c->pm, ret, sizeof(*ret)));
	return rc == PM_END ? answer_complain(c, PM_TEMP, "the module answered out of turn") : rc;
}

int32_t
host_dlv_commit(struct host_inst *i, void *dlv, struct host_call *c, struct pm_result *ret)
{
	int32_t rc;

	thread_enter(i);
	rc = answer_known(c, i->desc->delivery->dlv_commit(dlv, &c->pm, ret, sizeof(*ret)));
	return rc == PM_END
		       ? answer_complain(c, PM_UNKNOWN, "the module answered a commit out of turn")
		       : rc;
}

void
host_dlv_abort(struct host_inst *i, void *dlv, struct host_call *c)
{
	thread_enter(i);
	i->desc->delivery->dlv_abort(dlv, &c->pm);
}
