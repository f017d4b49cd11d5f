/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "answer/answers.h"
#include "base/secret.h"
#include "conf/conf.h"

#define ANSWER_MAX (64u << 20)
#define ANSWER_S 70 /* a reload may take a minute */

/* run_dir of the configuration; its errors are check-conf's business. */
static bool
socket_path(const struct ctl *c, char *buf, size_t cap)
{
	struct conf_errors e = {0};
	struct conf *conf;

	if (c->socket) {
		snprintf(buf, cap, "%s", c->socket);
		return true;
	}
	conf = conf_load(c->conf_file, &e);
	if (!conf) {
		fprintf(stderr,
			"restantectl: cannot read '%s'; name the socket with -s or the "
			"configuration with -c\n",
			c->conf_file);
		return false;
	}
	snprintf(buf, cap, "%s/control", conf->run_dir);
	conf_put(conf);
	return true;
}

static int
talk_open_socket(const struct ctl *c, int *ret_rc)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = ANSWER_S};
	int fd;

	*ret_rc = EX_UNAVAILABLE;
	if (!socket_path(c, sun.sun_path, sizeof(sun.sun_path))) {
		*ret_rc = EX_CONFIG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1)
		/* else it only waits longer */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (fd == -1 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		fprintf(stderr,
			"restantectl: %s: %s; is restanted running? (-s SOCKET or -c FILE names "
			"another one)\n",
			sun.sun_path, strerrordesc_np(errno));
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	return fd;
}

static bool
write_line(int fd, const char *text)
{
	size_t n = strlen(text);

	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n &&
	       send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
}

/* All there is; NULL: nothing sensible came. */
static char *
read_all(int fd)
{
	char *text = NULL;
	size_t n = 0, cap = 0;
	ssize_t got = 1;

	while (got > 0 && n < ANSWER_MAX) {
		if (n + 1 >= cap) {
			char *more = realloc(text, cap = cap ? cap * 2 : 65536);

			if (!more)
				break;
			text = more;
		}
		got = recv(fd, text + n, cap - n - 1, 0);
		if (got > 0)
			n += (size_t)got;
	}
	if (text)
		text[n] = '\0';
	return text;
}

json_t *
talk_ask(const struct ctl *c, json_t *request, int *ret_rc)
{
	int fd = talk_open_socket(c, ret_rc);
	json_t *answer = NULL;
	json_error_t err;
	char *out, *in = NULL;

	if (fd == -1)
		return NULL;
	out = json_dumps(request, JSON_COMPACT);
	if (out && write_line(fd, out))
		in = read_all(fd);
	if (in && *in)
		answer = json_loads(in, 0, &err);
	if (!answer) {
		fprintf(stderr, "restantectl: the server gave no answer\n");
		*ret_rc = EX_UNAVAILABLE;
	}
	if (out)
		secret_wipe(out, strlen(out)); /* auth test: a password */
	free(out);
	free(in);
	(void)close(fd);
	return answer;
}

json_t *
talk_ask_ok(const struct ctl *c, json_t *request, int *ret_rc)
{
	json_t *answer = talk_ask(c, request, ret_rc);
	struct answer_outcome a;

	if (!answer)
		return NULL;
	ANSWER_GET(answer, outcome, &a);
	*ret_rc = a.ok ? 0 : 1;
	if (a.ok)
		return answer;
	fprintf(stderr, "restantectl: %s\n", a.error);
	json_decref(answer);
	return NULL;
}
