/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post - one message into one mailbox, inside an errand: look the account up, ask volume and quota,
 * deliver. For mail of our own (quota warnings) and for retries; mail from outside comes in by the
 * session's own way. A retry is an import whose unique-id is its op_id: killed before it could say
 * so, it is done all the same.
 *
 * A post is a part of an errand's context; post_step is called from the errand's run until it is
 * done. One owner.
 */
#ifndef RST_MAILBOX_POST_H
#define RST_MAILBOX_POST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <restante/module.h>

#include "account/find.h"
#include "conf/conf.h"
#include "mailbox/quota.h"
#include "module/errand.h"

enum post_phase { POST_LOOKUP, POST_BEGIN, POST_WRITE, POST_PREPARE, POST_COMMIT, POST_DONE };

struct post {
	/* set by the caller, the rest zeroed */
	struct conf *conf; /* borrowed: lives as long as the errand */
	/* the account's own, normalised (chain_name): no tag is taken off, nobody stands in
	 * (account/recipient.h) */
	char name[PM_NAME_MAX + 1];
	int fd;           /* the message, read from its beginning: lines as on the wire */
	const char *head; /* written before it; borrowed */
	size_t head_n;
	uint8_t op_id[16]; /* the same for each try of the same message and account, */
	/* and if one of them delivered it, it is done: PM_OK; as the store can (PM_F_CAN_IMPORT) */
	bool once;
	bool no_quota; /* a warning about a full mailbox must fit in */
	bool utf8;     /* it came by SMTPUTF8 */
	/* result, when post_step returns anything but PM_AGAIN */
	/* PM_OK; PM_NOENT: no such account; PM_MOVED: it is an alias; PM_QUOTA ... */
	int32_t rc;
	/* no section knows the name: PM_NOENT, or PM_TEMP: one of them cannot look names up */
	bool nobody;
	char text[PM_ERROR_MAX + 1];
	/* own */
	enum post_phase phase;
	struct find find;
	void *user_mem;
	struct pm_user user;
	struct backend *storage; /* borrowed from conf */
	void *dlv;
	bool committing; /* a commit answered PM_AGAIN: nothing may stop it */
	off_t at;
	struct pm_result result;
	char uidl[33];  /* of an import; empty: none */
	uint64_t mount; /* volume_mount when it was begun */
	struct quota_limits limits;
	struct quota_hold hold;
	uint64_t octets;
};

void post_begin(struct post *d);
/* Entered from the errand's run until it returns anything but PM_AGAIN; rc is the same as d->rc. */
int32_t post_step(struct post *d, struct errand *e);
/* Frees what it holds; a handle was given back before. */
void post_fini(struct post *d);

#endif
