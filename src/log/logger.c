/* SPDX-License-Identifier: Apache-2.0 */
#include "log/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define RING_BYTES (1u << 20)            /* finished lines waiting to be written */
#define INFO_SHARE (RING_BYTES / 2)      /* info and debug stop here, */
#define OTHER_SHARE (RING_BYTES / 4 * 3) /* notice and above here; the rest is the audit's */
#define SYSLOG_MAIL (2 << 3)             /* facility mail, RFC 3164 section 4.1.1 */
#define SYSLOG_PATH "/dev/log"
#define SYSLOG_PATIENCE_MS 10000 /* its queue is short, ten lines as a rule */
#define STOP_LOOK_MS 100
#define STOP_PATIENCE_MS 3000 /* at the end, for a pipe that takes nothing */

static struct {
	pthread_t thread;
	bool running;
	enum conf_log_sink sink;
	bool json;
	char *file;
	int fd;     /* the log thread's */
	bool stuck; /* the log thread's: the sink took nothing for as long as we wait */
	pthread_mutex_t mutex;
	pthread_cond_t more;
	/* below: under mutex */
	char *ring; /* lines: level byte, text, LF */
	size_t n;
	bool stop, reopen;
	unsigned long long dropped, dropped_logged;
} lg = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .fd = -1};

/* ---- any thread ------------------------------------------------------------------------------ */

static void
logger_sink(const struct log_line *l, int64_t at_ms)
{
	char text[LOG_LINE_MAX * 2];
	size_t n = lg.json ? log_render_json(l, at_ms, text, sizeof(text))
			   : log_render_text(l, at_ms, text, sizeof(text));
	size_t share = l->audit ? RING_BYTES : l->level >= LOG_LVL_INFO ? INFO_SHARE : OTHER_SHARE;
	bool wake = false;

	pthread_mutex_lock(&lg.mutex);
	if (lg.n + n + 2 > share) {
		lg.dropped++;
	} else {
		wake = lg.n == 0;
		lg.ring[lg.n++] = (char)('0' + l->level);
		memcpy(lg.ring + lg.n, text, n);
		lg.n += n;
		lg.ring[lg.n++] = '\n';
	}
	pthread_mutex_unlock(&lg.mutex);
	if (wake)
		pthread_cond_signal(&lg.more);
}

void
logger_reopen(void)
{
	pthread_mutex_lock(&lg.mutex);
	lg.reopen = true;
	pthread_mutex_unlock(&lg.mutex);
	pthread_cond_signal(&lg.more);
}

unsigned long long
logger_dropped(void)
{
	unsigned long long n;

	pthread_mutex_lock(&lg.mutex);
	n = lg.dropped;
	pthread_mutex_unlock(&lg.mutex);
	return n;
}

/* ---- the log thread -------------------------------------------------------------------------- */

static int
open_file(void)
{
	return open(lg.file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static int
open_syslog(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sun.sun_path, SYSLOG_PATH, sizeof(SYSLOG_PATH));
	if (fd != -1 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		(void)close(fd); /* tried again with the next line */
		fd = -1;
	}
	return fd;
}

static bool
logger_ends(void)
{
	bool stop;

	pthread_mutex_lock(&lg.mutex);
	stop = lg.stop;
	pthread_mutex_unlock(&lg.mutex);
	return stop;
}

/* Waits until a pipe or terminal takes something, for as long as it needs: the lines to come wait
 * in the ring. Only the end does not wait for somebody who never reads: false, then. */
static bool
wait_for_room(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int64_t until_ms = 0;

	while (poll(&p, 1, STOP_LOOK_MS) == 0) {
		if (!logger_ends())
			continue;
		if (until_ms == 0)
			until_ms = mono_ms() + STOP_PATIENCE_MS;
		else if (lg.stuck || mono_ms() >= until_ms) {
			lg.stuck = true;
			return false;
		}
	}
	lg.stuck = false;
	return true;
}

/* Octets to write at once: to a pipe that has room, so many do not block, and lines stay whole. */
static size_t
piece_of(const char *p, size_t n)
{
	const char *lf = n > PIPE_BUF ? memrchr(p, '\n', PIPE_BUF) : NULL;

	return n <= PIPE_BUF ? n : lf ? (size_t)(lf + 1 - p) : PIPE_BUF;
}

static void
write_all(int fd, const char *p, size_t n)
{
	struct stat st;
	bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	while (n > 0 && (file || wait_for_room(fd))) {
		ssize_t w = write(fd, p, file ? n : piece_of(p, n));

		if (w < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (w <= 0)
			return; /* a full disk: the line is lost, the server is not */
		p += w;
		n -= (size_t)w;
	}
}

/* send(2), waiting while syslog's queue is full: the lines to come wait in the ring meanwhile.
 * Only once: after it took nothing for so long, and until it does again, lines that do not fit
 * are lost, so that our own end need not wait for it. */
static bool
syslog_send(const char *text, size_t n)
{
	int64_t until_ms = mono_ms() + SYSLOG_PATIENCE_MS;

	while (send(lg.fd, text, n, MSG_NOSIGNAL) < 0) {
		struct pollfd p = {.fd = lg.fd, .events = POLLOUT};
		int64_t left_ms = until_ms - mono_ms();

		if (errno != EAGAIN && errno != ENOBUFS)
			return false;
		if (lg.stuck || left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0) {
			lg.stuck = true;
			errno = EAGAIN;
			return false;
		}
	}
	lg.stuck = false;
	return true;
}

/* False: the line is lost. A syslog that was restarted is found again. */
static bool
syslog_hand_over(const char *text, size_t n)
{
	for (int tries = 0; tries < 2; tries++) {
		if (lg.fd == -1)
			lg.fd = open_syslog();
		if (lg.fd == -1)
			return false;
		if (syslog_send(text, n))
			return true;
		if (errno == EAGAIN)
			return false;
		(void)close(lg.fd);
		lg.fd = -1;
	}
	return false;
}

/* One datagram: <PRI>tag[pid]: text without the time, which syslog has itself. */
static void
write_syslog(int level, const char *line, size_t n)
{
	char text[LOG_LINE_MAX * 2 + 64];
	const char *rest = lg.json ? line : memchr(line, ' ', n);
	int len;

	rest = rest ? rest : line;
	len = snprintf(text, sizeof(text), "<%d>restanted[%d]: %.*s", SYSLOG_MAIL | level,
		       (int)getpid(), (int)(n - (size_t)(rest - line)), rest + (*rest == ' '));
	if (len > 0 &&
	    !syslog_hand_over(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1)) {
		pthread_mutex_lock(&lg.mutex);
		lg.dropped++;
		pthread_mutex_unlock(&lg.mutex);
	}
}

/* Lines as sink() left them. Standard error and files get them in as few writes as may be. */
static void
write_batch(char *p, size_t n)
{
	char *to = p, *end = p + n;

	for (char *line = p; line < end;) {
		char *lf = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)(lf - line); /* level byte and text */

		if (lg.sink == CONF_LOG_SYSLOG) {
			*lf = ' ';
			write_syslog(line[0] - '0', line + 1, len - 1);
		} else {
			memmove(to, line + 1, len);
			to += len;
		}
		line = lf + 1;
	}
	if (to > p)
		write_all(lg.sink == CONF_LOG_FILE ? lg.fd : STDERR_FILENO, p, (size_t)(to - p));
}

static void
file_reopen(void)
{
	int fd = lg.sink == CONF_LOG_FILE ? open_file() : -1;

	if (fd == -1)
		return; /* the old one stays: better a rotated file than none */
	(void)close(lg.fd);
	lg.fd = fd;
}

static void
log_dropped(unsigned long long n)
{
	struct log_line l;
	char text[LOG_LINE_MAX];
	struct timespec ts;
	int64_t now_ms;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	log_begin(&l, LOG_LVL_WARNING, "log");
	log_num(&l, "dropped", n);
	log_textf(&l, "lines were lost while the log was slow, or syslog not there");
	text[0] = '0' + LOG_LVL_WARNING;
	len = lg.json ? log_render_json(&l, now_ms, text + 1, sizeof(text) - 2)
		      : log_render_text(&l, now_ms, text + 1, sizeof(text) - 2);
	text[len + 1] = '\n';
	write_batch(text, len + 2);
}

static void *
logger_main(void *arg)
{
	char *mine = arg; /* swapped with lg.ring */
	bool stop = false;

	while (!stop) {
		size_t n;
		unsigned long long lost;
		bool reopen;

		pthread_mutex_lock(&lg.mutex);
		while (lg.n == 0 && !lg.stop && !lg.reopen)
			pthread_cond_wait(&lg.more, &lg.mutex);
		char *full = lg.ring;

		lg.ring = mine;
		mine = full;
		n = lg.n;
		lg.n = 0;
		lost = lg.dropped - lg.dropped_logged;
		lg.dropped_logged = lg.dropped;
		reopen = lg.reopen;
		lg.reopen = false;
		stop = lg.stop && n == 0;
		pthread_mutex_unlock(&lg.mutex);
		if (reopen)
			file_reopen();
		if (n > 0)
			write_batch(mine, n);
		if (lost > 0)
			log_dropped(lost);
	}
	free(mine);
	return NULL;
}

/* ---- main ------------------------------------------------------------------------------------ */

bool
logger_start(const struct conf *c)
{
	char *second = malloc(RING_BYTES);

	log_set_level(c->log_level);
	lg.sink = c->log_sink;
	lg.json = c->log_json;
	lg.ring = malloc(RING_BYTES);
	lg.file = c->log_file ? strdup(c->log_file) : NULL;
	lg.n = 0;
	lg.stop = false;
	if (!second || !lg.ring || (c->log_file && !lg.file)) {
		fprintf(stderr, "restanted: no memory for the log\n");
		goto fail;
	}
	if (lg.sink == CONF_LOG_FILE && (lg.fd = open_file()) == -1) {
		fprintf(stderr, "restanted: cannot write the log file '%s': %s\n", lg.file,
			strerrordesc_np(errno));
		goto fail;
	}
	if (pthread_create(&lg.thread, NULL, logger_main, second) != 0) {
		fprintf(stderr, "restanted: cannot start the log thread\n");
		goto fail;
	}
	lg.running = true;
	log_set_sink(logger_sink);
	return true;
fail:
	free(second);
	free(lg.ring);
	free(lg.file);
	lg.ring = lg.file = NULL;
	return false;
}

void
logger_stop(void)
{
	if (!lg.running)
		return;
	log_set_sink(NULL);
	pthread_mutex_lock(&lg.mutex);
	lg.stop = true;
	pthread_mutex_unlock(&lg.mutex);
	pthread_cond_signal(&lg.more);
	pthread_join(lg.thread, NULL);
	lg.running = false;
	if (lg.fd != -1)
		(void)close(lg.fd);
	lg.fd = -1;
	free(lg.ring);
	free(lg.file);
	lg.ring = lg.file = NULL;
}
