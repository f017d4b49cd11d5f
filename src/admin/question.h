/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question - one call into a module on behalf of restantectl: an errand makes it, the thread of
 * the verb (control.h) waits for it until a deadline. An answer that comes later is thrown away
 * with the last reference to the question.
 *
 * Threads: question_new, question_ask, question_put: the verb's. The question is set before
 * question_ask; the answer belongs to that thread once question_ask has returned true, and to the
 * errand alone after false.
 */
#ifndef RST_ADMIN_QUESTION_H
#define RST_ADMIN_QUESTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "module/errand.h"

struct question {
	_Atomic int refs;
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	bool done; /* under mutex */
	/* the question */
	struct pm_cred cred; /* verify, lookup; strings below, or static */
	char name[PM_NAME_MAX + 1];
	char peer[64];
	char *secret; /* malloc'd, wiped in the end; NULL: none */
	size_t secret_n;
	struct pm_user user; /* of stat: the account that was found; else the answer */
	void *user_mem;      /* its strings, malloc'd */
	/* the answer */
	int32_t rc;
	uint8_t verdict; /* of the gate, enum verdict: VERDICT_GO, or why there was no call */
	struct pm_stat stat;
	char error[PM_ERROR_MAX + 1];
};

/* name: as chain_name made it. NULL: no memory. */
struct question *question_new(const char *name);
void question_put(struct question *q);

/* Long enough for a lookup, or for the mailbox's numbers. */
#define QUESTION_MS 5000

enum question_call { QUESTION_VERIFY, QUESTION_LOOKUP, QUESTION_STAT };

/* False: no answer within ms. */
bool question_ask(struct question *q, enum question_call what, struct conf *c, struct backend *b,
		  int64_t ms);

/* A user with its strings copied into q. False: no memory. */
bool question_keep(struct question *q, const struct pm_user *u);

#endif
