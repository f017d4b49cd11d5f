/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that come after the login: last logins, last uses of app passwords, hashes of the site's
 * scheme. A login only queues; tick() writes, in slices. A write that fails stays queued for a
 * better time, up to a bound. All of it may be written twice without harm: a hash is replaced only
 * while the old one is still there.
 */
#include "write_behind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "pool.h"
#include "query.h"
#include "result.h"
#include "say.h"
#include "sql.h"

#define STAMPS_MAX 4096
#define SLICE_MS 200
#define COMPLAIN_MS 60000

struct stamp {
	struct stamp *next;
	char *user, *id, *peer, *service; /* a login */
	char *old, *hash;                 /* or a new hash; secret */
	int64_t wall_ms;
	bool used_written; /* half of a login is done */
};

static void
write_behind_wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void
stamp_free(struct stamp *s)
{
	if (!s)
		return;
	free(s->user);
	free(s->id);
	free(s->peer);
	free(s->service);
	write_behind_wipe(s->old);
	write_behind_wipe(s->hash);
	free(s);
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* Under the mutex: the login of the same user by the same password that is still waiting. */
static struct stamp *
write_behind_waiting(struct inst *i, struct pm_str user, struct pm_str id)
{
	struct stamp *s = i->stamps;

	while (s && (s->hash || !sdk_str_is(user, s->user) || !sdk_str_is(id, s->id)))
		s = s->next;
	return s;
}

static void
write_behind_push(struct inst *i, struct stamp *s)
{
	bool full;

	pthread_mutex_lock(&i->write_behind_mutex);
	full = i->n_stamps >= STAMPS_MAX;
	if (!full) {
		*i->last = s;
		i->last = &s->next;
		i->n_stamps++;
	}
	pthread_mutex_unlock(&i->write_behind_mutex);
	if (full) {
		sdk_count(i->host, "stamps_dropped", 1);
		stamp_free(s);
	}
}

static struct stamp *
write_behind_pop(struct inst *i)
{
	struct stamp *s;

	pthread_mutex_lock(&i->write_behind_mutex);
	s = i->stamps;
	if (s) {
		i->stamps = s->next;
		i->n_stamps--;
		if (!i->stamps)
			i->last = &i->stamps;
		s->next = NULL;
	}
	pthread_mutex_unlock(&i->write_behind_mutex);
	return s;
}

/* Back to the front: it is still the oldest. */
static void
write_behind_unpop(struct inst *i, struct stamp *s)
{
	pthread_mutex_lock(&i->write_behind_mutex);
	s->next = i->stamps;
	if (!i->stamps)
		i->last = &s->next;
	i->stamps = s;
	i->n_stamps++;
	pthread_mutex_unlock(&i->write_behind_mutex);
}

static void
queue_login(struct inst *i, struct pm_str user, struct pm_str id, struct pm_str peer,
	    struct pm_str service)
{
	int64_t now = i->host->wall_ms(i->host->ctx);
	struct stamp *s;

	if (!i->background || user.n == 0 ||
	    !(pool_has(i, Q_SET_LOGIN) || (id.n > 0 && pool_has(i, Q_SET_USED))))
		return;
	pthread_mutex_lock(&i->write_behind_mutex);
	s = write_behind_waiting(i, user, id);
	if (s)
		s->wall_ms = now;
	pthread_mutex_unlock(&i->write_behind_mutex);
	if (s || !(s = calloc(1, sizeof(*s))))
		return;
	s->user = sdk_strdup(user);
	s->id = sdk_strdup(id);
	s->peer = sdk_strdup(peer);
	s->service = sdk_strdup(service);
	s->wall_ms = now;
	if (s->user && s->id && s->peer && s->service)
		write_behind_push(i, s);
	else
		stamp_free(s);
}

void
write_behind_login(struct inst *i, struct pm_str user, struct pm_str id, const struct pm_cred *cred)
{
	if (!sdk_str_is(cred->service, "ctl")) /* an operator's test does not count as a login */
		queue_login(i, user, id, cred->peer, cred->service);
}

/* Mechanisms whose secret was checked elsewhere (SCRAM, certificates) are seen here only. */
int32_t
write_behind_event(void *inst, const struct pm_call *call, const struct pm_user *user,
		   uint32_t what)
{
	(void)call;
	if (what == PM_EVENT_LOGIN)
		queue_login(inst, user->name, user->cred_id, sdk_str(""), sdk_str(""));
	return PM_OK;
}

void
write_behind_password(struct inst *i, struct pm_str user, struct pm_str old, struct pm_str hash)
{
	struct stamp *s = i->background ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return;
	s->user = sdk_strdup(user);
	s->old = sdk_strdup(old);
	s->hash = sdk_strdup(hash);
	if (s->user && s->old && s->hash)
		write_behind_push(i, s);
	else
		stamp_free(s);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int32_t
write_one(struct inst *i, const struct pm_call *call, enum sql_which which,
	  const struct pm_str *args)
{
	struct sql_result r = {0};
	int32_t rc = pool_has(i, which) ? pool_run(i, call, which, args, &r) : PM_OK;

	result_free(&r);
	return rc;
}

static int32_t
write_stamp(struct inst *i, const struct pm_call *call, struct stamp *s)
{
	struct pm_str args[P_COUNT] = {0};
	char seconds[24];
	int32_t rc = PM_OK;

	query_name(args, sdk_str(s->user));
	if (s->hash) {
		args[P_OLD] = sdk_str(s->old);
		args[P_HASH] = sdk_str(s->hash);
		return write_one(i, call, Q_SET_PASSWORD, args);
	}
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(s->wall_ms / 1000));
	args[P_TIME] = sdk_str(seconds);
	args[P_PEER] = sdk_str(s->peer);
	args[P_SERVICE] = sdk_str(s->service);
	args[P_ID] = sdk_str(s->id);
	if (*s->id && !s->used_written)
		rc = write_one(i, call, Q_SET_USED, args);
	s->used_written = rc == PM_OK;
	return rc == PM_OK ? write_one(i, call, Q_SET_LOGIN, args) : rc;
}

/* Reports, beside the failure's text in call->error, that nothing is lost yet. */
static void
write_behind_complain(struct inst *i)
{
	int64_t now = i->host->now_ms(i->host->ctx);
	size_t n;
	bool silent;

	pthread_mutex_lock(&i->write_behind_mutex);
	n = i->n_stamps;
	silent = i->stamp_failed_ms && now - i->stamp_failed_ms < COMPLAIN_MS;
	if (!silent)
		i->stamp_failed_ms = now;
	pthread_mutex_unlock(&i->write_behind_mutex);
	if (!silent)
		sdk_log(i->host, PM_LOG_WARNING,
			"last logins and new hashes cannot be written now; %zu wait", n);
}

int32_t
write_behind_flush(struct inst *i, const struct pm_call *call)
{
	int64_t end = i->host->now_ms(i->host->ctx) + SLICE_MS;
	struct stamp *s;

	while ((s = write_behind_pop(i)) != NULL) {
		int32_t rc = write_stamp(i, call, s);

		/* a statement that was refused will be refused again: only failures that may pass
		 * are tried again */
		if (rc == PM_TEMP) {
			sdk_count(i->host, "stamps_refused", 1);
			sdk_log(i->host, PM_LOG_ERROR,
				"a last login or new hash of user '%s' was refused and is given up",
				s->user);
			stamp_free(s);
			return rc;
		}
		if (rc != PM_OK) {
			write_behind_unpop(i, s);
			write_behind_complain(i);
			return PM_OK;
		}
		stamp_free(s);
		if (i->host->now_ms(i->host->ctx) >= end)
			return PM_AGAIN;
	}
	return PM_OK;
}

void
write_behind_free(struct inst *i)
{
	struct stamp *s;

	while ((s = write_behind_pop(i)) != NULL)
		stamp_free(s);
}
