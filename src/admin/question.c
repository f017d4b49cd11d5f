/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/question.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account/usercopy.h"
#include "base/clock.h"
#include "base/secret.h"
#include "mailbox/volume.h"

struct question *
question_new(const char *name)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	atomic_store(&q->refs, 1);
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->answered, NULL);
	memcpy(q->name, name, strlen(name) + 1);
	host_cred_init(&q->cred);
	q->cred.authcid = (struct pm_str){q->name, strlen(q->name)};
	q->cred.service = (struct pm_str){"ctl", 3};
	return q;
}

void
question_put(struct question *q)
{
	if (!q || atomic_fetch_sub(&q->refs, 1) != 1)
		return;
	secret_wipe(q->secret, q->secret_n);
	free(q->secret);
	free(q->user_mem);
	pthread_mutex_destroy(&q->mutex);
	pthread_cond_destroy(&q->answered);
	free(q);
}

bool
question_keep(struct question *q, const struct pm_user *u)
{
	void *mem = malloc(user_bytes(u) + 1);

	if (!mem)
		return false;
	user_pack(u, mem, &q->user);
	free(q->user_mem);
	q->user_mem = mem;
	return true;
}

/* ---- on workers ------------------------------------------------------------------------------ */

static int32_t
answer_user(struct question *q, int32_t rc, const struct pm_user *u)
{
	return rc == PM_OK && !question_keep(q, u) ? PM_NOMEM : rc;
}

static int32_t
run_verify(struct errand *e)
{
	struct question *q = e->ctx;
	struct pm_user u;
	int32_t rc = errand_enter(e, CALL_BEGIN);

	if (rc == PM_OK)
		rc = caller_done(&e->caller, host_verify(e->backend->inst, &e->call, &q->cred, &u));
	return answer_user(q, rc, &u);
}

static int32_t
run_lookup(struct errand *e)
{
	struct question *q = e->ctx;
	struct pm_user u;
	int32_t rc = errand_enter(e, CALL_BEGIN);

	if (rc == PM_OK)
		rc = caller_done(&e->caller, host_lookup(e->backend->inst, &e->call, &q->cred, &u));
	return answer_user(q, rc, &u);
}

static int32_t
run_stat(struct errand *e)
{
	struct question *q = e->ctx;
	int32_t rc = errand_enter(e, CALL_BEGIN);

	if (rc == PM_OK)
		rc = volume_find(e->backend->vol, NULL, e->call.error, sizeof(e->call.error));
	if (rc == PM_OK)
		rc = caller_done(&e->caller,
				 host_box_stat(e->backend->inst, &e->call, &q->user, &q->stat));
	return rc;
}

static void
question_finish(struct errand *e, int32_t rc)
{
	struct question *q = e->ctx;

	pthread_mutex_lock(&q->mutex);
	q->rc = rc;
	q->verdict = e->task.verdict;
	memcpy(q->error, e->call.error, sizeof(q->error));
	q->done = true;
	pthread_mutex_unlock(&q->mutex);
	pthread_cond_signal(&q->answered);
	question_put(q);
}

/* ---- the thread that waits ------------------------------------------------------------------- */

bool
question_ask(struct question *q, enum question_call what, struct conf *c, struct backend *b,
	     int64_t ms)
{
	static const struct {
		const char *name;
		int32_t (*run)(struct errand *e);
	} calls[] = {
		[QUESTION_VERIFY] = {"auth test", run_verify},
		[QUESTION_LOOKUP] = {"user", run_lookup},
		[QUESTION_STAT] = {"user", run_stat},
	};
	struct errand e = {.conf = c,
			   .backend = b,
			   .name = calls[what].name,
			   .run = calls[what].run,
			   .finish = question_finish,
			   .ctx = q,
			   .deadline_ms = mono_ms() + ms};
	struct timespec until;
	bool done;
	int rc = 0;

	atomic_fetch_add(&q->refs, 1);
	if (!errand_start(&e)) {
		question_put(q); /* the errand's share */
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&q->mutex);
	while (!q->done && rc == 0)
		rc = pthread_cond_clockwait(&q->answered, &q->mutex, CLOCK_MONOTONIC, &until);
	done = q->done;
	pthread_mutex_unlock(&q->mutex);
	return done;
}
