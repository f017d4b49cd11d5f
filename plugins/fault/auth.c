/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <string.h>

#include "fault.h"

static int32_t
auth_caps(void *inst, uint64_t *ret_kinds)
{
	const struct fault *f = inst;

	return f->inner->auth ? f->inner->auth->caps(f->inner_inst, ret_kinds) : PM_UNSUPPORTED;
}

/* A record of our own that looks like the host's: an answer that an `after` rule discards must not
 * reach the host's (R5). */
static void *
auth_scratch(void *ours, size_t size, const void *theirs)
{
	uint32_t n;

	memset(ours, 0, size);
	memcpy(&n, theirs, sizeof(n));
	if (n > size)
		n = (uint32_t)size;
	memcpy(ours, theirs, n);
	memcpy(ours, &n, sizeof(n));
	return ours;
}

typedef int32_t user_fn(void *inst, const struct pm_call *call, const struct pm_cred *cred,
			struct pm_user *ret_user);

static int32_t
user_call(struct fault *f, enum fault_fn fn, user_fn *inner, const struct pm_call *call,
	  const struct pm_cred *cred, struct pm_user *ret_user)
{
	struct fault_turn t;
	struct pm_user mine;

	if (fault_begin(f, fn, call, &t))
		return t.rc;
	if (t.after)
		ret_user = auth_scratch(&mine, sizeof(mine), ret_user);
	return fault_end(&t, inner(f->inner_inst, call, cred, ret_user));
}

static int32_t
auth_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	    struct pm_user *ret_user)
{
	struct fault *f = inst;

	if (!f->inner->auth)
		return PM_UNSUPPORTED;
	return user_call(f, FN_VERIFY, f->inner->auth->verify, call, cred, ret_user);
}

static int32_t
auth_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	    struct pm_user *ret_user)
{
	struct fault *f = inst;

	if (!f->inner->auth)
		return PM_UNSUPPORTED;
	return user_call(f, FN_LOOKUP, f->inner->auth->lookup, call, cred, ret_user);
}

static int32_t
auth_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	    struct pm_secret *ret_secret, struct pm_user *ret_user)
{
	struct fault *f = inst;
	struct fault_turn t;
	struct pm_secret secret;
	struct pm_user user;

	if (!f->inner->auth || !f->inner->auth->secret)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_SECRET, call, &t))
		return t.rc;
	if (t.after) {
		ret_secret = auth_scratch(&secret, sizeof(secret), ret_secret);
		ret_user = auth_scratch(&user, sizeof(user), ret_user);
	}
	return fault_end(&t,
			 f->inner->auth->secret(f->inner_inst, call, cred, ret_secret, ret_user));
}

static int32_t
auth_domain(void *inst, const struct pm_call *call, struct pm_str name)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->auth || !f->inner->auth->domain)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_DOMAIN, call, &t))
		return t.rc;
	return fault_end(&t, f->inner->auth->domain(f->inner_inst, call, name));
}

static int32_t
auth_event(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t what)
{
	struct fault *f = inst;
	struct fault_turn t;

	if (!f->inner->auth || !f->inner->auth->event)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_EVENT, call, &t))
		return t.rc;
	return fault_end(&t, f->inner->auth->event(f->inner_inst, call, user, what));
}

const struct pm_auth fault_auth = {
	.size = sizeof(fault_auth),
	.caps = auth_caps,
	.verify = auth_verify,
	.lookup = auth_lookup,
	.secret = auth_secret,
	.domain = auth_domain,
	.event = auth_event,
};
