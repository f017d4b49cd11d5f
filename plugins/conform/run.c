/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A check is a child process. Its findings come through a pipe; the parent reports a signal, an
 * exit code of its own (a leak found at the end, a sanitizer's report) or the alarm.
 */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define EXIT_FAILED 41
#define EXIT_SKIPPED 42

static int tell_fd = -1;

static void __attribute__((format(printf, 1, 0))) tell(const char *fmt, va_list ap)
{
	char text[1400];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n > (int)sizeof(text) - 1)
		n = (int)sizeof(text) - 1;
	if (n > 0 && write(tell_fd, text, (size_t)n) != n)
		_exit(EXIT_FAILED); /* nobody listens: the exit code must do */
}

void
kit_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	_exit(EXIT_FAILED);
}

void
kit_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(fmt, ap);
	va_end(ap);
	_exit(EXIT_SKIPPED);
}

void
expect_rc(const char *what, int32_t rc, int32_t expected)
{
	const char *said = kit_said();

	EXPECT(rc == expected, "%s gave %s (%d), expected %s%s%s", what, host_code_name(rc), rc,
	       host_code_name(expected), *said ? "; it says: " : "", said);
}

/* Everything the child wrote, until it is gone. */
static void
listen_to(int fd, struct outcome *o)
{
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(o->text) - 1 &&
	       (got = read(fd, o->text + n, sizeof(o->text) - 1 - n)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	o->text[n] = '\0';
}

static void
run_judge(int status, struct outcome *o)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
		o->how = SKIPPED;
		return;
	}
	o->how = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PASSED : FAILED;
	if (o->how == PASSED || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILED))
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(o->text, sizeof(o->text), "not done after %u s: some call never came back",
			 setup.seconds);
	else if (WIFSIGNALED(status))
		snprintf(o->text, sizeof(o->text), "died: %s", strsignal(WTERMSIG(status)));
	else
		snprintf(o->text, sizeof(o->text),
			 "ended with exit code %d: a sanitizer's report, or the module called exit",
			 WEXITSTATUS(status));
}

struct outcome
run_check(const struct check *c)
{
	struct outcome o = {.how = FAILED};
	int p[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe(p) != 0 || (pid = fork()) == -1) {
		snprintf(o.text, sizeof(o.text), "cannot start a process: %s",
			 strerrordesc_np(errno));
		return o;
	}
	if (pid == 0) {
		(void)close(p[0]);
		tell_fd = p[1];
		alarm(setup.seconds);
		c->fn();
		exit(0); /* not _exit: the search for leaks comes at the end */
	}
	(void)close(p[1]);
	listen_to(p[0], &o);
	(void)close(p[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	run_judge(status, &o);
	return o;
}

int
kit_fork(int (*fn)(void *arg), void *arg)
{
	int pid = fork();

	EXPECT(pid != -1, "cannot start a process: %s", strerrordesc_np(errno));
	if (pid == 0) {
		alarm(setup.seconds);
		_exit(fn(arg));
	}
	return pid;
}

int
kit_join(int pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		EXPECT(errno == EINTR, "waiting for a process: %s", strerrordesc_np(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
