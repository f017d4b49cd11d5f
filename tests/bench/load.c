/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rst-load - a POP3 load generator: N clients, each a thread with one session at a time, in a
 * closed loop. It verifies everything it receives: counts, sizes announced against octets sent,
 * stuffing, and one checksum over all mail, so that two servers can be compared and a fast wrong
 * answer is no answer.
 *
 * Modes   login  USER PASS QUIT
 *         poll   CAPA USER PASS STAT UIDL QUIT (one command, one reply, as a client does it)
 *         fetch  USER PASS STAT LIST, RETR of every message, QUIT
 *         idle   logs in `count` sessions, prints "idle", holds them until standard input ends
 * Output  one line of JSON on standard output; exit 1 when anything was wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { MODE_LOGIN, MODE_POLL, MODE_FETCH, MODE_IDLE };

static struct {
	uint16_t port;
	bool tls;
	enum mode mode;
	unsigned users, clients, messages;
	uint64_t count;
	const char *password;
	SSL_CTX *ctx;
} opt = {.users = 100, .clients = 8, .messages = 50, .count = 1000, .password = "restante"};

static atomic_ullong done, failed, octets;
static atomic_uint next_start;

struct client {
	int fd;
	SSL *ssl;
	char buf[65536];
	size_t pos, end;
	uint64_t sum; /* of all mail received */
	uint64_t latency_us[4096];
	unsigned n_latency;
	char why[160];
};

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static bool
fail(struct client *c, const char *what, const char *got)
{
	if (!c->why[0])
		snprintf(c->why, sizeof(c->why), "%s: %.100s", what, got ? got : "");
	return false;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool
client_connect(struct client *c)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(opt.port)};
	int on = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->pos = c->end = 0;
	c->ssl = NULL;
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd == -1 || connect(c->fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)
		return fail(c, "connect", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!opt.tls)
		return true;
	c->ssl = SSL_new(opt.ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
		return fail(c, "TLS handshake", ERR_reason_error_string(ERR_get_error()));
	return true;
}

static void
client_close(struct client *c)
{
	if (c->ssl) {
		SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
}

static bool
client_send(struct client *c, const char *text)
{
	size_t n = strlen(text);
	ssize_t sent =
		c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL);

	return sent == (ssize_t)n || fail(c, "send", text);
}

static bool
client_fill(struct client *c)
{
	ssize_t n;

	memmove(c->buf, c->buf + c->pos, c->end - c->pos);
	c->end -= c->pos;
	c->pos = 0;
	if (c->end == sizeof(c->buf))
		return fail(c, "line too long", NULL);
	n = c->ssl ? SSL_read(c->ssl, c->buf + c->end, (int)(sizeof(c->buf) - c->end))
		   : recv(c->fd, c->buf + c->end, sizeof(c->buf) - c->end, 0);
	if (n <= 0)
		return fail(c, "connection closed by the server", NULL);
	c->end += (size_t)n;
	return true;
}

/* The next line without CRLF, in the buffer, NUL-terminated; *ret_n its length. */
static char *
client_line(struct client *c, size_t *ret_n)
{
	size_t from = c->pos;

	for (;;) {
		char *lf = memchr(c->buf + from, '\n', c->end - from);

		if (lf) {
			char *line = c->buf + c->pos;
			size_t n = (size_t)(lf - line);

			c->pos += n + 1;
			if (n == 0 || line[n - 1] != '\r') {
				fail(c, "line does not end in CRLF", line);
				return NULL;
			}
			line[n - 1] = '\0';
			*ret_n = n - 1;
			return line;
		}
		from = c->end - c->pos;
		if (!client_fill(c))
			return NULL;
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

static char *
expect_ok(struct client *c, const char *what)
{
	size_t n;
	char *line = client_line(c, &n);

	if (line && strncmp(line, "+OK", 3) != 0) {
		fail(c, what, line);
		return NULL;
	}
	return line;
}

static char *
command(struct client *c, const char *text)
{
	return client_send(c, text) ? expect_ok(c, text) : NULL;
}

/* Reads a multi-line reply's body; calls fn for each unstuffed line. */
static bool
body(struct client *c, bool (*fn)(struct client *c, const char *line, size_t n, void *ctx),
     void *ctx)
{
	for (;;) {
		size_t n;
		char *line = client_line(c, &n);

		if (!line)
			return false;
		if (line[0] == '.') {
			if (n == 1)
				return true;
			if (line[1] != '.')
				return fail(c, "a dot was not stuffed", line);
			line++;
			n--;
		}
		if (fn && !fn(c, line, n, ctx))
			return false;
	}
}

static bool
login(struct client *c, unsigned user)
{
	char text[128];

	snprintf(text, sizeof(text), "USER u%u\r\n", user);
	if (!command(c, text))
		return false;
	snprintf(text, sizeof(text), "PASS %s\r\n", opt.password);
	return command(c, text) != NULL;
}

static bool
check_stat(struct client *c, const char *line)
{
	unsigned n;

	return (sscanf(line, "+OK %u ", &n) == 1 && n == opt.messages) || fail(c, "STAT", line);
}

static bool
count_line(struct client *c, const char *line, size_t n, void *ctx)
{
	(void)c;
	(void)line;
	(void)n;
	(*(unsigned *)ctx)++;
	return true;
}

static bool
poll_session(struct client *c)
{
	unsigned n = 0;
	char *line;

	if (!(line = command(c, "STAT\r\n")) || !check_stat(c, line))
		return false;
	if (!command(c, "UIDL\r\n") || !body(c, count_line, &n))
		return false;
	return n == opt.messages || fail(c, "UIDL: wrong number of lines", NULL);
}

struct sizes {
	unsigned n;
	uint64_t size[4096];
	uint64_t got;
};

static bool
list_line(struct client *c, const char *line, size_t n, void *ctx)
{
	struct sizes *s = ctx;
	unsigned msgno;
	unsigned long long size;

	(void)n;
	if (sscanf(line, "%u %llu", &msgno, &size) != 2 || msgno != s->n + 1 || s->n >= 4096)
		return fail(c, "LIST", line);
	s->size[s->n++] = size;
	return true;
}

static bool
mail_line(struct client *c, const char *line, size_t n, void *ctx)
{
	struct sizes *s = ctx;
	uint64_t h = c->sum;

	s->got += n + 2;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)line[i]) * 1099511628211u; /* FNV-1a */
	c->sum = (h ^ '\n') * 1099511628211u;
	return true;
}

static bool
fetch_session(struct client *c)
{
	struct sizes s = {0};
	char text[32], *line;

	if (!(line = command(c, "STAT\r\n")) || !check_stat(c, line))
		return false;
	if (!command(c, "LIST\r\n") || !body(c, list_line, &s))
		return false;
	for (unsigned i = 0; i < s.n; i++) {
		snprintf(text, sizeof(text), "RETR %u\r\n", i + 1);
		s.got = 0;
		if (!command(c, text) || !body(c, mail_line, &s))
			return false;
		if (s.got != s.size[i])
			return fail(c, "RETR sent another size than LIST announced", text);
		atomic_fetch_add(&octets, s.got);
	}
	return true;
}

static bool
session(struct client *c, unsigned user)
{
	if (!client_connect(c) || !expect_ok(c, "greeting"))
		return false;
	if (opt.mode == MODE_POLL && (!command(c, "CAPA\r\n") || !body(c, NULL, NULL)))
		return false;
	if (!login(c, user))
		return false;
	if (opt.mode == MODE_POLL && !poll_session(c))
		return false;
	if (opt.mode == MODE_FETCH && !fetch_session(c))
		return false;
	if (opt.mode == MODE_IDLE)
		return true;
	return command(c, "QUIT\r\n") != NULL;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void *
client_main(void *arg)
{
	struct client *c = arg;
	unsigned me = atomic_fetch_add(&next_start, 1);
	uint64_t mine = opt.count / opt.clients + (me < opt.count % opt.clients);

	/* each client has users of its own: a maildrop is exclusive */
	for (uint64_t i = 0; i < mine; i++) {
		unsigned user = (unsigned)(me + i % (opt.users / opt.clients) * opt.clients);
		int64_t t0 = now_us();
		bool good;

		c->sum = 14695981039346656037u;
		good = session(c, user);
		client_close(c);
		c->latency_us[c->n_latency++ % 4096] = (uint64_t)(now_us() - t0);
		atomic_fetch_add(good ? &done : &failed, 1);
		if (!good && atomic_load(&failed) > 20)
			break; /* trying again will not help */
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int
report(struct client *clients, int64_t took_us)
{
	static uint64_t all[4096 * 64];
	size_t n = 0;
	const char *why = "";
	uint64_t sum = 0;

	for (unsigned i = 0; i < opt.clients; i++) {
		unsigned k = clients[i].n_latency < 4096 ? clients[i].n_latency : 4096;

		for (unsigned j = 0; j < k && n < 4096 * 64; j++)
			all[n++] = clients[i].latency_us[j];
		if (clients[i].why[0])
			why = clients[i].why;
		sum ^= clients[i].sum;
	}
	qsort(all, n, sizeof(all[0]), compare);
	for (char *p = (char *)(uintptr_t)why; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == '"' || *p == '\\')
			*p = '?';
	printf("{\"sessions\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"octets\": %llu, "
	       "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"checksum\": \"%016llx\", \"why\": \"%s\"}\n",
	       atomic_load(&done), atomic_load(&failed), (double)took_us / 1e6,
	       atomic_load(&octets), n ? (double)all[n / 2] / 1e3 : 0,
	       n ? (double)all[n * 99 / 100] / 1e3 : 0, (unsigned long long)sum, why);
	return atomic_load(&failed) ? 1 : 0;
}

/* Sessions that only wait: the memory of an idle client. */
static int
hold_idle(void)
{
	struct client *c = malloc(sizeof(*c));
	int *fds = calloc(opt.count, sizeof(int));
	char byte;

	if (!c || !fds)
		return 1;
	for (uint64_t i = 0; i < opt.count; i++) {
		memset(c, 0, offsetof(struct client, buf));
		c->why[0] = '\0';
		if (!session(c, (unsigned)(i % opt.users))) {
			fprintf(stderr, "rst-load: session %llu: %s\n", (unsigned long long)i,
				c->why);
			return 1;
		}
		/* the SSL object is kept: only the server's memory counts */
		fds[i] = c->fd;
	}
	printf("idle\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	free(fds);
	free(c);
	return 0;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: rst-load -p PORT [-t] -m login|poll|fetch|idle [-u USERS] [-c CLIENTS]\n"
		"                [-n COUNT] [-k MESSAGES] [-w PASSWORD]\n");
	return 64;
}

int
main(int argc, char **argv)
{
	static const char *const modes[] = {"login", "poll", "fetch", "idle"};
	int ch, mode = -1;

	signal(SIGPIPE, SIG_IGN);
	while ((ch = getopt(argc, argv, "p:tm:u:c:n:k:w:")) != -1) {
		switch (ch) {
		case 'p':
			opt.port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			opt.tls = true;
			break;
		case 'm':
			for (int i = 0; i < 4; i++)
				if (strcmp(optarg, modes[i]) == 0)
					mode = i;
			break;
		case 'u':
			opt.users = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			opt.clients = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			opt.count = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			opt.messages = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			opt.password = optarg;
			break;
		default:
			return usage();
		}
	}
	if (mode < 0 || !opt.port || !opt.clients || opt.clients > 64 || opt.users < opt.clients)
		return usage();
	opt.mode = (enum mode)mode;
	if (opt.tls) {
		opt.ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_min_proto_version(opt.ctx, TLS1_3_VERSION);
		SSL_CTX_set_session_cache_mode(opt.ctx, SSL_SESS_CACHE_OFF);
	}
	if (opt.mode == MODE_IDLE)
		return hold_idle();

	struct client *clients = calloc(opt.clients, sizeof(*clients));
	pthread_t *threads = calloc(opt.clients, sizeof(*threads));
	int64_t t0 = now_us();

	if (!clients || !threads)
		return 1;
	for (unsigned i = 0; i < opt.clients; i++)
		pthread_create(&threads[i], NULL, client_main, &clients[i]);
	for (unsigned i = 0; i < opt.clients; i++)
		pthread_join(threads[i], NULL);
	int rc = report(clients, now_us() - t0);

	free(threads);
	free(clients);
	return rc;
}
