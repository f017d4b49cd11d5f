/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership under stress: random clients against a session that echoes, with random delays at every
 * change of `where` (work/stress.h). Built together with the engine's sources.
 *
 * Asserted: no session has two owners; nobody waits for ever (every client is answered or ended,
 * every session ends); every handle that was opened behind a gate is given back; every count ends
 * at zero.
 *
 * Commands, one a line; N is any text:
 *   EN  echo
 *   GN  echo, behind a gate that works, holding a "handle" from then on
 *   PN  400 KB, then N
 *   HN  echo, behind a gate whose module hangs: h, or - when refused
 *   DN  echo, and end the session by its deadline
 *   QN  give back, echo, end
 *
 * usage: engine_stress [seconds [hang]]      exit 0: nothing wrong. With one of the mistakes of
 * mutants/ it must fail. A client that waits for `hang` seconds counts as lost: two minutes, as
 * machines are slow; with fewer a mutant is caught sooner.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

#include "base/log.h"
#include "net/acceptor.h"
#include "stress_echo.h"
#include "work/gate_status.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define WORKERS 8
#define CLIENTS 20
#define SLOTS 64
#define END_TRIES 120000

static struct listener listener;
static unsigned hang_s = 120; /* a client that waits longer for its answer is lost */

/* ---- the client ------------------------------------------------------------------------------ */

struct client {
	int fd;
	unsigned n;       /* commands sent */
	unsigned answers; /* seen */
	char kinds[32];
	char buf[4096];
	size_t used;
};

static bool
client_open(struct client *c)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct timeval tv = {.tv_sec = hang_s};
	int rcvbuf = 4096;

	*c = (struct client){0};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		return false;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	in.sin_port = htons(listener_port(listener.fd));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(c->fd, (struct sockaddr *)&in, sizeof(in)) == 0)
		return true;
	close(c->fd);
	return false;
}

/* False: the session has ended (a kick). */
static bool
client_says(struct client *c, char kind)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%c%u\n", kind, c->n);

	c->kinds[c->n++] = kind;
	/* sometimes in two segments */
	if (chance(4) == 0 && send(c->fd, line, 1, MSG_NOSIGNAL) == 1)
		return send(c->fd, line + 1, (size_t)n - 1, MSG_NOSIGNAL) == n - 1;
	return send(c->fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* One whole line of an answer without its end, dots skipped. False: end, or it took too long. */
static bool
client_line(struct client *c, char *line, size_t cap, bool *ret_hang)
{
	size_t used = 0;

	for (;;) {
		for (size_t i = 0; i < c->used; i++) {
			char ch = c->buf[i];

			if (ch == '\n') {
				line[used] = '\0';
				memmove(c->buf, c->buf + i + 1, c->used - i - 1);
				c->used -= i + 1;
				return true;
			}
			if (ch != '.' && used + 1 < cap)
				line[used++] = ch;
		}
		ssize_t n = recv(c->fd, c->buf, sizeof(c->buf), 0);

		*ret_hang = n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK);
		c->used = n > 0 ? (size_t)n : 0;
		if (n <= 0)
			return false;
	}
}

/* All answers still to come. False: the session ended before them. */
static bool
client_listens(struct client *c)
{
	while (c->answers < c->n) {
		char want[32], line[64];
		bool hang = false;
		char kind = c->kinds[c->answers];

		if (!client_line(c, line, sizeof(line), &hang)) {
			if (hang)
				fprintf(stderr, "no answer to %c%u in %d s\n", kind, c->answers,
					hang_s);
			atomic_fetch_add(hang ? &count.hangs : &count.early, 1);
			return false;
		}
		snprintf(want, sizeof(want), "%c%u", kind | 0x20, c->answers);
		if (strcmp(line + 1, want + 1) != 0 ||
		    (line[0] != want[0] && !(line[0] == '-' && (kind == 'H' || kind == 'G')))) {
			fprintf(stderr, "answer '%s' instead of '%s'\n", line, want);
			atomic_fetch_add(&count.wrong_replies, 1);
			return false;
		}
		c->answers++;
	}
	return true;
}

static void
client_sees_the_end(struct client *c, const char *why)
{
	char line[64];
	bool hang = false;

	while (client_line(c, line, sizeof(line), &hang))
		;
	if (hang) {
		fprintf(stderr, "no end after %s in %u s\n", why, hang_s);
		atomic_fetch_add(&count.hangs, 1);
	}
}

static void
client_ends(struct client *c)
{
	struct linger abrupt = {.l_onoff = 1};

	uint32_t r = chance(20);

	if (r < 8) {
		if (client_says(c, 'Q') && client_listens(c))
			client_sees_the_end(c, "QUIT");
	} else if (r < 16) { /* bytes and FIN together */
		if (client_says(c, 'E')) {
			shutdown(c->fd, SHUT_WR);
			if (client_listens(c))
				client_sees_the_end(c, "FIN");
		}
	} else if (r < 17) { /* the server runs out of patience */
		if (client_says(c, 'D') && client_listens(c))
			client_sees_the_end(c, "deadline");
	} else if (r < 18) {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
	}
	close(c->fd);
}

static char
some_kind(void)
{
	uint32_t r = chance(100);

	return r < 60 ? 'E' : r < 96 ? 'G' : r < 98 ? 'H' : 'P';
}

static void
one_session(void)
{
	unsigned rounds = chance(6);
	struct client c;

	if (!client_open(&c)) {
		atomic_fetch_add(&count.failures, 1);
		return;
	}
	for (unsigned r = 0; r < rounds; r++) {
		unsigned pipelined = 1 + (chance(3) == 0 ? chance(4) : 0);

		for (unsigned i = 0; i < pipelined; i++) {
			if (!client_says(&c, some_kind())) {
				close(c.fd);
				return;
			}
		}
		if (chance(4) == 0)
			usleep(chance(2000));
		if (!client_listens(&c)) {
			close(c.fd);
			return;
		}
	}
	client_ends(&c);
}

static void *
client_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&count.over))
		one_session();
	return NULL;
}

/* Kicks, wakes, and tokens that are long out of date; only for every other slot, because they would
 * rescue lost sessions. */
static void *
kicker_main(void *arg)
{
	slot_token old[64] = {0};

	(void)arg;
	while (!atomic_load(&count.over)) {
		struct slot_record r;
		slot_token token;
		char where;

		if (slot_read(chance(SLOTS / 2) * 2, &r, &token, &where)) {
			old[chance(64)] = token;
			(void)slot_wake(token, chance(8) == 0 ? NOTE_KICK : NOTE_WAKE);
		}
		(void)slot_wake(old[chance(64)], NOTE_WAKE);
		usleep(chance(800));
	}
	return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool
server_start(void)
{
	static const struct door_limits limits = {.max_sessions = SLOTS / 2, .shed_ms = 60000};
	static const struct gate_limits good_limits = {.permits = 3,
						       .queue_max = 64,
						       .wait_ms = 3000,
						       .call_ms = 1000,
						       .breaker_open_ms = 50};
	static const struct gate_limits bad_limits = {.permits = 2,
						      .queue_max = 6,
						      .wait_ms = 100,
						      .call_ms = 1000,
						      .trip_after = 3,
						      .breaker_open_ms = 50};
	char err[256];

	listener = (struct listener){.session_new = echo_new, .name = "echo"};
	listener.fd = listener_open("127.0.0.1", 0, 0, err, sizeof(err));
	if (listener.fd == -1 || !slot_init(SLOTS))
		return false;
	queue_init();
	gate_init_global(WORKERS, 2);
	good = gate_get("good", &good_limits);
	bad = gate_get("bad", &bad_limits);
	return good && bad && pool_start(WORKERS) && acceptor_start(&limits, &listener, 1);
}

static void
clients_run(unsigned seconds)
{
	pthread_t threads[CLIENTS + 1];

	for (size_t i = 0; i < CLIENTS + 1; i++)
		if (pthread_create(&threads[i], NULL, i < CLIENTS ? client_main : kicker_main,
				   NULL) != 0)
			abort();
	for (unsigned i = 0; i < seconds * 10 && atomic_load(&count.hangs) == 0; i++)
		usleep(100000);
	atomic_store(&count.over, true);
	for (size_t i = 0; i < CLIENTS + 1; i++)
		pthread_join(threads[i], NULL);
}

/* All clients are gone: all sessions must be, too. */
static bool
sessions_end(void)
{
	for (unsigned i = 0; i < END_TRIES; i++) {
		if (atomic_load(&count.alive) == 0)
			return true;
		usleep(1000);
	}
	fprintf(stderr, "%d sessions never end\n", atomic_load(&count.alive));
	return false;
}

static void
print_gate(const struct gate_status *s, void *ctx)
{
	(void)ctx;
	printf("gate %-5s calls %llu refused %llu timeouts %llu trips %llu in use %u\n", s->name,
	       (unsigned long long)s->calls, (unsigned long long)s->refused,
	       (unsigned long long)s->timeouts, (unsigned long long)s->trips, s->in_use);
	if (s->in_use != 0)
		atomic_fetch_add(&count.failures, 1);
}

static bool
verdict(void)
{
#define N(x) (unsigned long long)atomic_load(&count.x)
	printf("sessions %llu commands %llu turns %llu kicks %llu deadlines %llu hups %llu\n",
	       N(sessions), N(commands), N(turns), N(kicks), N(deadlines), N(hups));
	printf("opened %llu given back %llu refused %llu gate timeouts %llu early ends %llu\n",
	       N(opened), N(given_back), N(refused), N(gate_timeouts), N(early));
	printf("double owners %llu hangs %llu wrong replies %llu failures %llu\n", N(double_owners),
	       N(hangs), N(wrong_replies), N(failures));
	return N(double_owners) == 0 && N(hangs) == 0 && N(wrong_replies) == 0 &&
	       N(failures) == 0 && N(opened) == N(given_back) && N(sessions) > 100 &&
	       N(kicks) > 0 && N(deadlines) > 0 && N(early) <= N(kicks) && door_sessions() == 0;
#undef N
}

int
main(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 6;
	bool ok;

	hang_s = argc > 2 ? (unsigned)atoi(argv[2]) : hang_s;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LVL_ERROR);
	if (!server_start()) {
		fprintf(stderr, "the server does not start\n");
		return 2;
	}
	clients_run(seconds);
	ok = atomic_load(&count.hangs) == 0 && sessions_end(); /* lost is lost */
	gate_status_each(print_gate, NULL);
	ok = verdict() && ok;
	if (!ok) { /* threads may be lost for ever: no orderly end */
		printf("FAILED\n");
		fflush(stdout);
		_exit(1);
	}
	acceptor_stop();
	pool_stop();
	gate_fini_all();
	queue_fini();
	slot_fini();
	printf("ok\n");
	return 0;
}
