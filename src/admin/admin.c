/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <errno.h>
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

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

#define LINE_MAX_BYTES 65536
#define PEER_MS 5000

static struct {
	pthread_t thread;
	int fd;
	int stop; /* eventfd */
	char path[108];
} ad = {.fd = -1, .stop = -1};

/* ---- one caller ------------------------------------------------------------------------------ */

static bool
wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = until_ms - mono_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

/* A line, without its end; false: none in time. */
static bool
read_line(int fd, char *buf, size_t cap, int64_t until_ms)
{
	size_t n = 0;

	while (n + 1 < cap && wait_for(fd, POLLIN, until_ms)) {
		ssize_t got = recv(fd, buf + n, cap - 1 - n, MSG_DONTWAIT);
		char *lf;

		if (got <= 0)
			return false;
		buf[n + (size_t)got] = '\0';
		lf = memchr(buf + n, '\n', (size_t)got);
		n += (size_t)got;
		if (lf) {
			*lf = '\0';
			return true;
		}
	}
	return false;
}

static void
write_text(int fd, const char *p, size_t n, int64_t until_ms)
{
	while (n > 0 && wait_for(fd, POLLOUT, until_ms)) {
		ssize_t w = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w <= 0)
			return; /* the caller is gone */
		p += w;
		n -= (size_t)w;
	}
}

static void
serve(int fd)
{
	char *line = malloc(LINE_MAX_BYTES);
	json_t *request, *answer;
	json_error_t err;
	char *text;

	if (line && read_line(fd, line, LINE_MAX_BYTES, mono_ms() + PEER_MS)) {
		request = json_loads(line, JSON_REJECT_DUPLICATES, &err);
		answer = json_is_object(request) ? admin_answer(request) : admin_error("not a JSON object: %s", err.text);
		text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
		if (text) {
			write_text(fd, text, strlen(text), mono_ms() + PEER_MS);
			write_text(fd, "\n", 1, mono_ms() + PEER_MS);
		}
		free(text);
		json_decref(answer);
		json_decref(request);
	}
	if (line)
		secret_wipe(line, LINE_MAX_BYTES); /* auth test: a password */
	free(line);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *
admin_main(void *arg)
{
	struct pollfd p[2] = {{.fd = ad.stop, .events = POLLIN}, {.fd = ad.fd, .events = POLLIN}};

	(void)arg;
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		if (!(p[1].revents & POLLIN))
			continue;
		int fd = accept4(ad.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd == -1)
			continue;
		serve(fd);
		(void)close(fd);
	}
	return NULL;
}

/* A socket left behind by a crash is removed; one that answers is another server's. */
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
	if (bind(ad.fd, (struct sockaddr *)sun, sizeof(*sun)) != 0 || chmod(ad.path, 0600) != 0 ||
	    listen(ad.fd, 16) != 0) {
		fprintf(stderr, "restanted: control socket %s: %s\n", ad.path, strerrordesc_np(errno));
		return false;
	}
	return true;
}

/* What jansson took apart may have been a password. */
static void
wiping_free(void *p)
{
	secret_wipe(p, malloc_usable_size(p));
	free(p);
}

bool
admin_start(const char *run_dir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if ((size_t)snprintf(ad.path, sizeof(ad.path), "%s/control", run_dir) >= sizeof(ad.path)) {
		fprintf(stderr, "restanted: run_dir = %s is too long for a socket's name (107 bytes)\n", run_dir);
		return false;
	}
	memcpy(sun.sun_path, ad.path, sizeof(ad.path));
	json_set_alloc_funcs(malloc, wiping_free);
	ad.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ad.stop = eventfd(0, EFD_CLOEXEC);
	if (ad.fd == -1 || ad.stop == -1) {
		fprintf(stderr, "restanted: control socket: %s\n", strerrordesc_np(errno));
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
	if (write(ad.stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(ad.thread, NULL);
	(void)unlink(ad.path);
	(void)close(ad.fd);
	(void)close(ad.stop);
	ad.fd = ad.stop = -1;
}
