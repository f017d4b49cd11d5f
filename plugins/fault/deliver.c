/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results are the wrapped module's: a rule changes the answer of the call as a whole. A commit,
 * however it ends, gives the handle back; only PM_AGAIN keeps it.
 */
#include "deliver.h"

#include <stdlib.h>

#include "fault.h"

struct dlv {
	struct fault *f;
	void *inner;
};

static int32_t
deliver_dlv_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
		  void **ret_dlv)
{
	struct fault *f = inst;
	struct fault_turn t;
	struct dlv *d;
	int32_t rc;

	if (!f->inner->delivery)
		return PM_UNSUPPORTED;
	if (fault_begin(f, FN_DLV_BEGIN, call, &t))
		return t.rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return PM_NOMEM;
	d->f = f;
	rc = f->inner->delivery->dlv_begin(f->inner_inst, call, size_hint, flags, &d->inner);
	if (rc == PM_OK && t.after && t.rc != PM_OK)
		f->inner->delivery->dlv_abort(d->inner, call);
	rc = fault_end(&t, rc);
	if (rc == PM_OK)
		*ret_dlv = d;
	else
		free(d);
	return rc;
}

static int32_t
deliver_dlv_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct fault_turn t;

	/* an accepted recipient cannot be withdrawn: `after` refuses before the call */
	if (fault_begin(d->f, FN_DLV_RCPT, call, &t) || t.after)
		return t.rc;
	return d->f->inner->delivery->dlv_rcpt(d->inner, call, rcpt);
}

static int32_t
deliver_dlv_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	struct dlv *d = dlv;
	struct fault_turn t;

	if (fault_begin(d->f, FN_DLV_WRITE, call, &t))
		return t.rc;
	return fault_end(&t, d->f->inner->delivery->dlv_write(d->inner, call, buf, n));
}

static int32_t
deliver_dlv_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	struct fault_turn t;

	if (fault_begin(d->f, FN_DLV_PREPARE, call, &t))
		return t.rc;
	return fault_end(&t, d->f->inner->delivery->dlv_prepare(d->inner, call, ret, stride));
}

static int32_t
deliver_dlv_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	struct fault_turn t;
	int32_t rc;

	if (fault_begin(d->f, FN_DLV_COMMIT, call, &t)) {
		if (t.rc == PM_AGAIN)
			return t.rc;
		d->f->inner->delivery->dlv_abort(d->inner, call);
		free(d);
		return t.rc;
	}
	rc = d->f->inner->delivery->dlv_commit(d->inner, call, ret, stride);
	if (rc == PM_AGAIN)
		return rc;
	free(d);
	return fault_end(&t, rc);
}

static void
deliver_dlv_abort(void *dlv, const struct pm_call *call)
{
	struct dlv *d = dlv;
	struct fault_turn t;

	(void)fault_begin(d->f, FN_DLV_ABORT, call, &t); /* it can only have slept */
	d->f->inner->delivery->dlv_abort(d->inner, call);
	free(d);
}

const struct pm_delivery fault_delivery = {
	.size = sizeof(fault_delivery),
	.dlv_begin = deliver_dlv_begin,
	.dlv_rcpt = deliver_dlv_rcpt,
	.dlv_write = deliver_dlv_write,
	.dlv_prepare = deliver_dlv_prepare,
	.dlv_commit = deliver_dlv_commit,
	.dlv_abort = deliver_dlv_abort,
};
