/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter - one message from a file to one account: the account is looked up, volume and quota are
 * asked, and it is posted (mailbox/post.h). For mail of our own (quota warnings) and for retries;
 * mail from outside comes in by the session's own way. A retry is an import whose unique-id is its
 * op_id: when it was delivered and the process died before it could report that, the next attempt
 * finds it.
 *
 * A letter is a part of an errand's context; letter_step is entered from the errand's run until it
 * is done. One owner.
 */
#ifndef RST_MAILBOX_LETTER_H
#define RST_MAILBOX_LETTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <restante/module.h>

#include "account/find.h"
#include "conf/conf.h"
#include "mailbox/post.h"
#include "mailbox/quota_domain.h"
#include "module/caller.h"

enum letter_phase {
	LETTER_LOOKUP,
	LETTER_ROOM,
	LETTER_BEGIN,
	LETTER_RCPT,
	LETTER_WRITE,
	LETTER_PREPARE,
	LETTER_COMMIT,
	LETTER_ABORT,
	LETTER_DONE
};

struct letter {
	/* set by the caller, the rest zeroed */
	struct conf *conf; /* borrowed: lives as long as the errand */
	/* the account's own name, normalised (chain_name): no tag is removed, postmaster stands for
	 * nobody (account/recipient.h) */
	char name[PM_NAME_MAX + 1];
	int fd;           /* the message, read from its beginning: lines as on the wire */
	const char *head; /* written before the message; borrowed */
	size_t head_n;
	uint8_t op_id[16]; /* same for every attempt */
	/* if an earlier attempt delivered it, return PM_OK; as far as the store can tell
	 * (PM_F_CAN_IMPORT) */
	bool once;
	bool utf8; /* it arrived by SMTPUTF8 */
	/* result, when letter_step returns anything but PM_AGAIN */
	/* PM_OK; PM_NOENT: no such account; PM_MOVED: it is an alias; PM_QUOTA ... */
	int32_t rc;
	/* no section knows the name: PM_NOENT, or PM_TEMP: one of them cannot look names up */
	bool nobody;
	char text[PM_ERROR_MAX + 1];
	/* private */
	enum letter_phase phase;
	struct find find;
	void *user_mem;
	struct pm_user user;
	struct post post;
	off_t at;
	struct pm_result result;
	char uidl[33]; /* of an import; empty: none */
	bool asked;    /* box_stat was begun */
	struct quota_limits limits;
	struct quota_hold hold;
	uint64_t octets;
};

void letter_begin(struct letter *l);
/* PM_AGAIN: it waits, or its slice is over; else it is done, rc is that of l->rc, and nothing is
 * held. */
int32_t letter_step(struct letter *l, struct caller *c);
/* Frees its memory, once it is done. */
void letter_fini(struct letter *l);

#endif
