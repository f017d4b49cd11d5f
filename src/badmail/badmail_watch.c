/* SPDX-License-Identifier: Apache-2.0 */
/* Which items are being tried now, and who waits for that. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "badmail/badmail_impl.h"

#define AT_ONCE 16

/* ---- who waits ------------------------------------------------------------------------------- */

struct badmail_watch {
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	/* below: under mutex */
	int refs; /* its owner, and each retry at work */
	unsigned done, failed;
};

struct badmail_watch *
badmail_watch_new(void)
{
	struct badmail_watch *w = calloc(1, sizeof(*w));

	if (w) {
		pthread_mutex_init(&w->mutex, NULL);
		pthread_cond_init(&w->ended, NULL);
		w->refs = 1;
	}
	return w;
}

/* Under the mutex; gone when the last one goes. */
static void
watch_put_unlock(struct badmail_watch *w)
{
	bool last = --w->refs == 0;

	pthread_mutex_unlock(&w->mutex);
	if (!last)
		return;
	pthread_mutex_destroy(&w->mutex);
	pthread_cond_destroy(&w->ended);
	free(w);
}

void
badmail_watch_wait(struct badmail_watch *w, int64_t ms, unsigned *ret_done, unsigned *ret_failed)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	pthread_mutex_lock(&w->mutex);
	while (w->refs > 1 && rc == 0)
		rc = pthread_cond_clockwait(&w->ended, &w->mutex, CLOCK_MONOTONIC, &until);
	*ret_done = w->done;
	*ret_failed = w->failed;
	watch_put_unlock(w);
}

void
badmail_watch_add(struct badmail_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->refs++;
	pthread_mutex_unlock(&w->mutex);
}

void
badmail_watch_tell(struct badmail_watch *w, bool done)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->done += done;
	w->failed += !done;
	pthread_cond_signal(&w->ended);
	watch_put_unlock(w);
}

/* ---- which are at work ----------------------------------------------------------------------- */

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct {
		bool used;
		enum badmail_class cls;
		uint64_t id;
	} at[AT_ONCE];
} busy = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool
badmail_busy_take(enum badmail_class cls, uint64_t id)
{
	int free_at = -1;

	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++) {
		if (!busy.at[i].used)
			free_at = i;
		else if (busy.at[i].cls == cls && busy.at[i].id == id)
			break;
		if (i == AT_ONCE - 1 && free_at >= 0) {
			busy.at[free_at].used = true;
			busy.at[free_at].cls = cls;
			busy.at[free_at].id = id;
			pthread_mutex_unlock(&busy.mutex);
			return true;
		}
	}
	pthread_mutex_unlock(&busy.mutex);
	return false;
}

bool
badmail_busy_has(enum badmail_class cls, uint64_t id)
{
	bool has = false;

	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++)
		has = has || (busy.at[i].used && busy.at[i].cls == cls && busy.at[i].id == id);
	pthread_mutex_unlock(&busy.mutex);
	return has;
}

void
badmail_busy_end(enum badmail_class cls, uint64_t id)
{
	pthread_mutex_lock(&busy.mutex);
	for (int i = 0; i < AT_ONCE; i++)
		if (busy.at[i].used && busy.at[i].cls == cls && busy.at[i].id == id)
			busy.at[i].used = false;
	pthread_mutex_unlock(&busy.mutex);
}
