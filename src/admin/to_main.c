/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/to_main.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 60

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	bool (*reload)(char **ret_errors);
	/* below: under mutex */
	bool busy; /* a reload is under way, and somebody waits for it */
	bool ended;
	bool want_reload, want_drain, done, ok;
	char *errors;
} box = {.mutex = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

void
to_main_init(bool (*reload)(char **ret_errors))
{
	box.reload = reload;
}

/* Under the mutex. */
static int
wait_answered(const struct timespec *until)
{
	return pthread_cond_clockwait(&box.answered, &box.mutex, CLOCK_MONOTONIC, until);
}

bool
to_main_reload(char **ret_errors)
{
	struct timespec until;
	bool ok = false;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&box.mutex);
	while (box.busy && !box.ended && rc == 0)
		rc = wait_answered(&until);
	if (box.busy || box.ended) {
		*ret_errors =
			strdup(box.ended ? "the server ends\n"
					 : "another reload did not end within 60 s; see the log\n");
		pthread_mutex_unlock(&box.mutex);
		return false;
	}
	box.busy = box.want_reload = true;
	box.done = false;
	(void)kill(getpid(), SIGUSR2); /* to ourselves: cannot fail */
	while (!box.done && !box.ended && rc == 0)
		rc = wait_answered(&until);
	box.busy = false;
	if (box.done) {
		ok = box.ok;
		*ret_errors = box.errors;
		box.errors = NULL;
	} else {
		*ret_errors =
			strdup(box.ended ? "the server ends\n"
					 : "the reload did not end within 60 s; see the log\n");
	}
	pthread_mutex_unlock(&box.mutex);
	pthread_cond_broadcast(&box.answered); /* the next one's turn */
	return ok;
}

void
to_main_drain(void)
{
	pthread_mutex_lock(&box.mutex);
	box.want_drain = true;
	pthread_mutex_unlock(&box.mutex);
	(void)kill(getpid(), SIGUSR2);
}

bool
to_main_serve(void)
{
	char *errors = NULL;
	bool reload, drain, ok;

	pthread_mutex_lock(&box.mutex);
	reload = box.want_reload;
	box.want_reload = false;
	drain = box.want_drain;
	pthread_mutex_unlock(&box.mutex);
	if (!reload)
		return drain;
	ok = box.reload(&errors);
	pthread_mutex_lock(&box.mutex);
	free(box.errors); /* nobody waited for them any longer */
	box.errors = errors;
	box.ok = ok;
	box.done = true;
	pthread_mutex_unlock(&box.mutex);
	pthread_cond_broadcast(&box.answered);
	return drain;
}

void
to_main_end(void)
{
	pthread_mutex_lock(&box.mutex);
	box.ended = true;
	pthread_mutex_unlock(&box.mutex);
	pthread_cond_broadcast(&box.answered);
}
