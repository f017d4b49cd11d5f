/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/verbs.h"
#include "answer/answers.h"
#include "base/secret.h"

#define LINE_MAX_BYTES 65536
#define PEER_MS 5000
#define STACK_BYTES (512 * 1024)

bool
control_begin(struct control *c, int fd, int wake, int64_t now_ms)
{
	*c = (struct control){
		.phase = CONTROL_SPEAKS, .fd = fd, .wake = wake, .until_ms = now_ms + PEER_MS};
	c->line = malloc(LINE_MAX_BYTES);
	if (!c->line)
		control_end(c);
	return c->line != NULL;
}

void
control_end(struct control *c)
{
	if (c->phase == CONTROL_WAITS)
		pthread_join(c->thread, NULL);
	if (c->phase == CONTROL_GONE)
		return;
	if (c->line)
		secret_wipe(c->line, c->n);
	free(c->line);
	free(c->answer);
	(void)close(c->fd);
	c->line = c->answer = NULL;
	c->phase = CONTROL_GONE;
}

short
control_events(const struct control *c)
{
	return c->phase == CONTROL_SPEAKS ? POLLIN : c->phase == CONTROL_LISTENS ? POLLOUT : 0;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* Any thread: line in, answer out. */
static void
make_answer(struct control *c)
{
	json_error_t err;
	json_t *request = json_loads(c->line, JSON_REJECT_DUPLICATES, &err);
	json_t *answer = json_is_object(request) ? verbs_answer(request)
						 : answers_error("not a JSON object: %s", err.text);

	c->answer = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	c->answer_n = c->answer ? strlen(c->answer) : 0;
	if (c->answer)
		c->answer[c->answer_n++] = '\n'; /* in the place of the NUL */
	json_decref(answer);
	json_decref(request);
}

static void *
waiting_main(void *arg)
{
	struct control *c = arg;
	uint64_t one = 1;
	ssize_t w;

	make_answer(c);
	atomic_store(&c->answered, true);
	do
		w = write(c->wake, &one, sizeof(one));
	while (w < 0 && errno == EINTR);
	return NULL;
}

static bool
is_slow(const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	bool slow = json_is_object(request) && verbs_is_slow(request);

	json_decref(request);
	return slow;
}

static bool
start_thread(struct control *c)
{
	pthread_attr_t attr;
	bool ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	atomic_store(&c->answered, false);
	ok = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
	     pthread_create(&c->thread, &attr, waiting_main, c) == 0;
	pthread_attr_destroy(&attr);
	return ok;
}

static void
send_answer(struct control *c, int64_t now_ms)
{
	while (c->sent < c->answer_n) {
		ssize_t w = send(c->fd, c->answer + c->sent, c->answer_n - c->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w < 0 && errno == EAGAIN && now_ms < c->until_ms)
			return;
		if (w <= 0)
			break; /* the caller is gone, or does not read */
		c->sent += (size_t)w;
	}
	control_end(c);
}

static void
begin_sending(struct control *c, int64_t now_ms)
{
	c->phase = CONTROL_LISTENS;
	c->until_ms = now_ms + PEER_MS;
	send_answer(c, now_ms);
}

/* ---- the question ---------------------------------------------------------------------------- */

static void
control_read_line(struct control *c, int64_t now_ms)
{
	ssize_t got = recv(c->fd, c->line + c->n, LINE_MAX_BYTES - 1 - c->n, MSG_DONTWAIT);
	char *lf = got > 0 ? memchr(c->line + c->n, '\n', (size_t)got) : NULL;

	if (got > 0)
		c->n += (size_t)got;
	if (!lf) {
		bool may_come = got > 0 ? c->n < LINE_MAX_BYTES - 1 : got < 0 && errno == EAGAIN;

		if (!may_come || now_ms >= c->until_ms)
			control_end(c);
		return;
	}
	*lf = '\0';
	if (is_slow(c->line) && start_thread(c)) {
		c->phase = CONTROL_WAITS;
		return;
	}
	make_answer(c);
	begin_sending(c, now_ms);
}

void
control_go(struct control *c, int64_t now_ms)
{
	switch (c->phase) {
	case CONTROL_SPEAKS:
		control_read_line(c, now_ms);
		break;
	case CONTROL_WAITS:
		if (!atomic_load(&c->answered))
			break;
		pthread_join(c->thread, NULL);
		begin_sending(c, now_ms);
		break;
	case CONTROL_LISTENS:
		send_answer(c, now_ms);
		break;
	default:
		break;
	}
}
