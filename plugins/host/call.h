/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call - every call into a module goes through here: the call record is filled, the thread is
 * introduced to the module (thread_begin), and the answer is checked against the contract: an
 * unknown code becomes PM_TEMP, a missing method PM_UNSUPPORTED, a malformed unique-id or an
 * impossible number PM_CORRUPT with an operator text.
 *
 * Threads: any worker, under a permit (gates are the server's business, not this file's).
 */
#ifndef PM_HOST_CALL_H
#define PM_HOST_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "inst.h"

struct host_call {
	struct pm_call pm; /* first member */
	/* set by the caller before host_call_init */
	void *(*alloc)(void *ctx, size_t n);
	int32_t (*cancelled)(void *ctx); /* NULL: never */
	void *ctx;
	/* result: the module's operator text, NUL-terminated, "" if none; control bytes replaced */
	char error[PM_ERROR_MAX + 1];
};

/* Fills pm from the caller's fields. op_id is zero: set it for commits and deliveries. */
void host_call_init(struct host_call *c, int64_t deadline_ms, uint64_t session_id);

/* Zeroed, sized, defaults as in module.h. */
void host_user_init(struct pm_user *u);
void host_cred_init(struct pm_cred *c);

int32_t host_probe(struct host_inst *i, struct host_call *c);
int32_t host_tick(struct host_inst *i, struct host_call *c);
/* PM_UNSUPPORTED when the module has none. */
int32_t host_setup(struct host_inst *i, struct host_call *c, struct pm_str what);

uint64_t host_caps(struct host_inst *i);
int32_t host_verify(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
		    struct pm_user *ret);
int32_t host_lookup(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
		    struct pm_user *ret);
int32_t host_secret(struct host_inst *i, struct host_call *c, const struct pm_cred *cred,
		    struct pm_secret *ret_secret, struct pm_user *ret);
int32_t host_domain(struct host_inst *i, struct host_call *c, struct pm_str name);
int32_t host_event(struct host_inst *i, struct host_call *c, const struct pm_user *u,
		   uint32_t what);

/* *ret_mbox is NULL at first; PM_AGAIN leaves a handle in it that is not ready yet; a failure ends
 * that and makes it NULL again. */
int32_t host_mbox_open(struct host_inst *i, struct host_call *c, const struct pm_user *u,
		       uint32_t flags, uint64_t *ret_count, void **ret_mbox);
int32_t host_mbox_info(struct host_inst *i, void *mbox, struct host_call *c, uint64_t first,
		       size_t n, uint32_t want, struct pm_msg *ret);
int32_t host_msg_open(struct host_inst *i, void *mbox, struct host_call *c, uint64_t index,
		      void **ret_msg);
int32_t host_msg_read(struct host_inst *i, void *msg, struct host_call *c, void *buf, size_t cap,
		      size_t *ret_got);
void host_msg_close(struct host_inst *i, void *msg, struct host_call *c);
int32_t host_mbox_commit(struct host_inst *i, void *mbox, struct host_call *c,
			 const struct pm_commit *commit, uint64_t *ret_done);
void host_mbox_close(struct host_inst *i, void *mbox, struct host_call *c);
int32_t host_box_list(struct host_inst *i, struct host_call *c, struct pm_str cursor, size_t n,
		      struct pm_box *ret, size_t *ret_got);
int32_t host_box_stat(struct host_inst *i, struct host_call *c, const struct pm_user *u,
		      struct pm_stat *ret);
/* The same, with PM_CALLF_RECOUNT: the first slice; those that follow are host_box_stat's. */
int32_t host_box_recount(struct host_inst *i, struct host_call *c, const struct pm_user *u,
			 struct pm_stat *ret);
/* anew: PM_CALLF_RECOUNT. */
int32_t host_domain_stat(struct host_inst *i, struct host_call *c, struct pm_str domain, bool anew,
			 struct pm_stat *ret);
int32_t host_box_delete(struct host_inst *i, struct host_call *c, const struct pm_user *u);
/* *ret lives as long as memory of call->alloc(). */
int32_t host_box_place(struct host_inst *i, struct host_call *c, const struct pm_user *u,
		       struct pm_str *ret);

int32_t host_dlv_begin(struct host_inst *i, struct host_call *c, uint64_t size_hint, uint32_t flags,
		       void **ret_dlv);
int32_t host_dlv_rcpt(struct host_inst *i, void *dlv, struct host_call *c, const struct pm_rcpt *r);
int32_t host_dlv_write(struct host_inst *i, void *dlv, struct host_call *c, const void *buf,
		       size_t n);
/* ret: one record per recipient that dlv_rcpt accepted, zeroed and with size set by the caller.
 * commit gives the handle back however it ends, unless it returns PM_AGAIN. */
int32_t host_dlv_prepare(struct host_inst *i, void *dlv, struct host_call *c,
			 struct pm_result *ret);
int32_t host_dlv_commit(struct host_inst *i, void *dlv, struct host_call *c, struct pm_result *ret);
void host_dlv_abort(struct host_inst *i, void *dlv, struct host_call *c);

#endif
