/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct badmail_watch {
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	/* below: under mutex */
	int refs; /* of its owner, and of each retry at work */
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

/* Under the mutex, which it releases. The last reference frees w. */
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
