/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"
#include "admin/http.h"
#include "admin/to_main.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

#define CONTROLS_MAX 16

static struct {
	pthread_t thread;
	int fd;
	int stop, wake; /* eventfds */
	char path[108];
	struct control controls[CONTROLS_MAX];
} ad = {.fd = -1, .stop = -1, .wake = -1};

/* ---- the thread ------------------------------------------------------------------------------ */

static void
accept_control(int64_t now_ms)
{
	int fd = accept4(ad.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd != -1 && i < CONTROLS_MAX; i++)
		if (ad.controls[i].phase == CONTROL_GONE) {
			/* else it is closed: no memory */
			(void)control_begin(&ad.controls[i], fd, ad.wake, now_ms);
			return;
		}
}

/* Places that are taken; the earliest time one of them wants to be looked at. */
static size_t
poll_controls(struct pollfd *p, int64_t *due_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < CONTROLS_MAX; i++) {
		const struct control *c = &ad.controls[i];
		short events = control_events(c);

		p[i] = (struct pollfd){.fd = events ? c->fd : -1, .events = events};
		n += c->phase != CONTROL_GONE;
		if (events && c->until_ms < *due_ms)
			*due_ms = c->until_ms;
	}
	return n;
}

static int
timeout_of(int64_t due_ms, int64_t now_ms)
{
	if (due_ms == INT64_MAX)
		return -1;
	return due_ms <= now_ms ? 0 : due_ms - now_ms < 60000 ? (int)(due_ms - now_ms) : 60000;
}

static void
clear_wake(void)
{
	uint64_t n;

	while (read(ad.wake, &n, sizeof(n)) > 0)
		;
}

/* Nothing here waits for anybody but in poll. */
static void *
admin_main(void *arg)
{
	enum { STOP, WAKE, WEB, DOOR, CONTROLS };
	struct pollfd p[CONTROLS + CONTROLS_MAX] = {
		[STOP] = {.fd = ad.stop, .events = POLLIN},
		[WAKE] = {.fd = ad.wake, .events = POLLIN},
	};

	(void)arg;
	for (;;) {
		int64_t now_ms = mono_ms(), due_ms = http_due_ms(now_ms);
		bool full = poll_controls(p + CONTROLS, &due_ms) == CONTROLS_MAX;

		p[WEB] = (struct pollfd){.fd = http_fd(), .events = POLLIN};
		/* the backlog holds them */
		p[DOOR] = (struct pollfd){.fd = full ? -1 : ad.fd, .events = POLLIN};
		if (poll(p, CONTROLS + CONTROLS_MAX, timeout_of(due_ms, now_ms)) < 0 &&
		    errno != EINTR)
			break;
		if (p[STOP].revents)
			break;
		now_ms = mono_ms();
		clear_wake();
		if (p[WEB].revents || now_ms >= http_due_ms(now_ms))
			http_run(now_ms);
		for (size_t i = 0; i < CONTROLS_MAX; i++)
			control_go(&ad.controls[i], now_ms);
		if (p[DOOR].revents & POLLIN)
			accept_control(now_ms);
	}
	for (size_t i = 0; i < CONTROLS_MAX; i++)
		control_end(&ad.controls[i]);
	return NULL;
}

/* A socket that a crash left there is removed; if it answers, another server has it. */
static bool
bind_path(struct sockaddr_un *sun)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = probe != -1 && connect(probe, (struct sockaddr *)sun, sizeof(*sun)) == 0;

	if (probe != -1)
		(void)close(probe);
	if (alive) {
		fprintf(stderr, "restanted: another restanted answers on %s\n", ad.path);
		return false;
	}
	(void)unlink(ad.path); /* missing is fine */
	/* the file has the socket's permissions from the beginning, less the umask */
	if (fchmod(ad.fd, 0600) != 0 || bind(ad.fd, (struct sockaddr *)sun, sizeof(*sun)) != 0 ||
	    listen(ad.fd, SOMAXCONN) != 0) {
		fprintf(stderr, "restanted: control socket %s: %s\n", ad.path,
			strerrordesc_np(errno));
		return false;
	}
	return true;
}

/* The text that jansson took apart may have been a password. */
static void
admin_wiping_free(void *p)
{
	secret_wipe(p, malloc_usable_size(p));
	free(p);
}

bool
admin_start(const char *run_dir, int metrics_fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if ((size_t)snprintf(ad.path, sizeof(ad.path), "%s/control", run_dir) >= sizeof(ad.path)) {
		fprintf(stderr,
			"restanted: run_dir = %s is too long for a socket's name (107 bytes)\n",
			run_dir);
		return false;
	}
	memcpy(sun.sun_path, ad.path, sizeof(ad.path));
	json_set_alloc_funcs(malloc, admin_wiping_free);
	json_object_seed(0); /* before there are several threads */
	ad.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ad.stop = eventfd(0, EFD_CLOEXEC);
	ad.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ad.fd == -1 || ad.stop == -1 || ad.wake == -1) {
		fprintf(stderr, "restanted: control socket: %s\n", strerrordesc_np(errno));
		return false;
	}
	if (metrics_fd != -1 && !http_start(metrics_fd)) {
		fprintf(stderr,
			"restanted: the listener of metrics cannot be started: no memory\n");
		return false;
	}
	return bind_path(&sun) && pthread_create(&ad.thread, NULL, admin_main, NULL) == 0;
}

void
admin_stop(void)
{
	uint64_t one = 1;

	if (ad.fd == -1)
		return;
	to_main_end();
	if (write(ad.stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(ad.thread, NULL);
	(void)unlink(ad.path);
	(void)close(ad.fd);
	(void)close(ad.stop);
	(void)close(ad.wake);
	ad.fd = ad.stop = ad.wake = -1;
	http_stop();
}
