/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct sdk_watched {
	struct sdk_watched *next, **link;
	int fd;
	int64_t until_ms; /* INT64_MAX: it was shut down */
};

struct sdk_watch {
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* signals an earlier time, or the end */
	pthread_t thread;
	struct sdk_watched *all;
	int64_t next_ms; /* when the thread wakes up */
	bool end;
};

static int64_t
watch_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Under the mutex: shuts down sockets that are due, and finds the next time. */
static int64_t
watch_look(struct sdk_watch *w)
{
	int64_t now = watch_now_ms(), next = INT64_MAX;

	for (struct sdk_watched *one = w->all; one; one = one->next) {
		if (one->until_ms <= now) {
			(void)shutdown(one->fd, SHUT_RDWR);
			one->until_ms = INT64_MAX;
		}
		if (one->until_ms < next)
			next = one->until_ms;
	}
	return next;
}

static void *
watch_main(void *arg)
{
	struct sdk_watch *w = arg;

	pthread_mutex_lock(&w->mutex);
	while (!w->end) {
		w->next_ms = watch_look(w);
		if (w->next_ms == INT64_MAX) {
			pthread_cond_wait(&w->changed, &w->mutex);
		} else {
			struct timespec t = {w->next_ms / 1000, w->next_ms % 1000 * 1000000};

			(void)pthread_cond_clockwait(&w->changed, &w->mutex, CLOCK_MONOTONIC, &t);
		}
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

struct sdk_watch *
sdk_watch_new(void)
{
	struct sdk_watch *w = calloc(1, sizeof(*w));
	sigset_t all, before;
	int rc;

	if (!w)
		return NULL;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->next_ms = INT64_MAX;
	sigfillset(&all); /* signals are for the main thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return w;
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mutex);
	free(w);
	return NULL;
}

void
sdk_watch_free(struct sdk_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->end = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

struct sdk_watched *
sdk_watch_begin(struct sdk_watch *w, int fd, int64_t until_ms)
{
	struct sdk_watched *one = calloc(1, sizeof(*one));

	if (!one)
		return NULL;
	one->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (one->fd == -1) {
		free(one);
		return NULL;
	}
	one->until_ms = until_ms;
	pthread_mutex_lock(&w->mutex);
	one->next = w->all;
	one->link = &w->all;
	if (w->all)
		w->all->link = &one->next;
	w->all = one;
	if (until_ms < w->next_ms)
		pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return one;
}

void
sdk_watch_end(struct sdk_watch *w, struct sdk_watched *one)
{
	if (!one)
		return;
	pthread_mutex_lock(&w->mutex);
	*one->link = one->next;
	if (one->next)
		one->next->link = one->link;
	pthread_mutex_unlock(&w->mutex);
	(void)close(one->fd);
	free(one);
}
