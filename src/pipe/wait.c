/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "base/clock.h"

static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
static volatile sig_atomic_t asked;
static sigset_t waiting; /* the mask while we wait */

static void
on_signal(int sig)
{
	(void)sig;
	asked = 1;
}

void
wait_init(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	sigset_t block;

	sigemptyset(&sa.sa_mask);
	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		sigaddset(&block, ends[i]);
		(void)sigaction(ends[i], &sa, NULL); /* cannot fail with these */
	}
	(void)sigprocmask(SIG_BLOCK, &block, &waiting);
	signal(SIGPIPE, SIG_IGN);
}

void
wait_hold_signals(void)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaddset(&waiting, ends[i]);
}

/* Did a signal come that has its turn only now? A ready descriptor keeps it from ppoll: the end
 * of a message must not be believed when its writer is being ended with us. */
static bool
is_asked(void)
{
	sigset_t pending;
	bool yes = asked;

	if (sigpending(&pending) == 0)
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			yes = yes ||
			      (sigismember(&pending, ends[i]) && !sigismember(&waiting, ends[i]));
	return yes;
}

bool
wait_ready(int fd, short events, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t until_ms = mono_ms() + ms;

	for (;;) {
		int64_t left = ms < 0 ? 0 : until_ms - mono_ms();
		struct timespec ts = {left > 0 ? left / 1000 : 0,
				      left > 0 ? left % 1000 * 1000000 : 0};
		int n = ppoll(&p, 1, ms < 0 ? NULL : &ts, &waiting);

		if (n > 0 && !is_asked())
			return true;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n > 0)
			errno = EINTR;
		if (n >= 0 || asked || errno != EINTR)
			return false;
	}
}
