/* SPDX-License-Identifier: Apache-2.0 */
/* The whole engine over loopback with a session that echoes: "B" in its input blocks a worker. */
#include "clock_rig.h"
#include "net/acceptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "net/conn.h"
#include "work/gate.h"
#include "work/pool.h"
#include "work/queue.h"

#define WORKERS 4
#define SLOTS 128
#define OUT_MAX (16 * 1024)
#define IDLE_MS 60000
#define GREETING "hello\r\n"
#define BUSY "busy\r\n"
#define WAIT_TRIES 120000 /* of a millisecond: a hang, not slowness */

struct echo {
	struct task task;
	struct conn conn;
	uint64_t peer_key;
	bool eof;
	int64_t until_ms;
	size_t n;
	char out[OUT_MAX];
};

static _Atomic int64_t ahead_ms; /* the clock of the test is that of the machine, moved */
static _Atomic int alive, blocked, ticks;
static _Atomic bool blocking;
static struct listener listener;

static int64_t
test_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + atomic_load(&ahead_ms);
}

/* ---- the session ----------------------------------------------------------------------------- */

/* 1: all sent; else as conn_write. */
static int
echo_flush(struct echo *e)
{
	while (e->n > 0) {
		ssize_t sent = conn_write(&e->conn, e->out, e->n);

		if (sent < 0)
			return (int)sent;
		memmove(e->out, e->out + sent, e->n - (size_t)sent);
		e->n -= (size_t)sent;
	}
	return 1;
}

static enum next
echo_park(struct echo *e, int want)
{
	return conn_arm(&e->conn, e->task.slot, want) ? NEXT_PARK : NEXT_DONE;
}

static void
echo_block(void)
{
	atomic_fetch_add(&blocked, 1);
	while (atomic_load(&blocking))
		usleep(1000);
	atomic_fetch_sub(&blocked, 1);
}

static void
echo_live_on(struct echo *e)
{
	e->until_ms = mono_ms() + IDLE_MS;
	slot_set_deadline(e->task.slot, e->until_ms);
}

static enum next
echo_step(struct task *t)
{
	struct echo *e = (struct echo *)t;

	if (slot_take_note(t->slot) & (NOTE_KICK | NOTE_PRESSURE))
		return NEXT_DONE;
	if (mono_ms() >= e->until_ms)
		return NEXT_DONE;
	for (;;) {
		int rc = echo_flush(e);
		ssize_t n;

		if (rc == CONN_WANT_READ || rc == CONN_WANT_WRITE)
			return echo_park(e, rc);
		if (rc != 1 || e->eof)
			return NEXT_DONE;
		n = conn_read(&e->conn, e->out, sizeof(e->out));
		if (n == CONN_WANT_READ || n == CONN_WANT_WRITE)
			return echo_park(e, (int)n);
		if (n == CONN_FAIL)
			return NEXT_DONE;
		e->eof = n == CONN_EOF;
		e->n = (size_t)n;
		echo_live_on(e);
		if (n > 0 && memchr(e->out, 'B', (size_t)n))
			echo_block();
	}
}

static void
echo_close(struct task *t)
{
	struct echo *e = (struct echo *)t;

	conn_shutdown(&e->conn);
	conn_close(&e->conn);
	door_leave(e->peer_key);
	free(e);
	atomic_fetch_sub(&alive, 1);
}

static struct task *
echo_new(const struct listener *l, int fd, const struct peer *p)
{
	struct echo *e = calloc(1, sizeof(*e));
	struct slot_record r = {.since_ms = mono_ms(), .peer_key = p->key};

	assert_non_null(e);
	assert_ptr_equal(l, &listener);
	e->task.step = echo_step;
	e->task.close = echo_close;
	e->peer_key = p->key;
	conn_init(&e->conn, fd);
	if (!slot_take(&e->task)) {
		free(e);
		return NULL;
	}
	atomic_fetch_add(&alive, 1);
	slot_publish(e->task.slot, &r);
	echo_live_on(e);
	assert_int_equal(conn_write(&e->conn, GREETING, strlen(GREETING)), strlen(GREETING));
	assert_true(conn_arm(&e->conn, e->task.slot, CONN_WANT_READ));
	return &e->task;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void
on_tick(int64_t now_ms)
{
	(void)now_ms;
	atomic_fetch_add(&ticks, 1);
}

static const struct door_limits usual = {.max_sessions = 100, .shed_ms = 5000};

static int
server_start(void **state)
{
	char err[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	clock_replace(test_clock);
	atomic_store(&ahead_ms, 0);
	assert_true(slot_init(SLOTS));
	queue_init();
	gate_init_global(WORKERS, 2);
	assert_true(pool_start(WORKERS));
	listener = (struct listener){.session_new = echo_new, .busy_text = BUSY, .name = "echo"};
	listener.fd = listener_open("127.0.0.1", 0, 0, err, sizeof(err));
	assert_int_not_equal(listener.fd, -1);
	acceptor_set_tick(on_tick);
	assert_true(acceptor_start(&usual, &listener, 1));
	return 0;
}

static void
kick_all(void)
{
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where))
			(void)slot_wake(token, NOTE_KICK);
}

#define WAIT_FOR(what) \
	do { \
		int tries_ = 0; \
		while (!(what)) { \
			assert_true(++tries_ < WAIT_TRIES); \
			usleep(1000); \
		} \
	} while (0)

/* Lets time pass, and waits until the acceptor, perhaps in the middle of a round, has seen it. */
static void
jump(int64_t ms)
{
	int before = atomic_load(&ticks);

	atomic_fetch_add(&ahead_ms, ms);
	WAIT_FOR(atomic_load(&ticks) > before + 1);
}

static int
server_stop(void **state)
{
	(void)state;
	acceptor_close_listeners();
	kick_all();
	WAIT_FOR(atomic_load(&alive) == 0);
	acceptor_stop();
	pool_stop();
	queue_fini();
	slot_fini();
	gate_fini_all();
	clock_replace(NULL);
	assert_int_equal(door_sessions(), 0);
	return 0;
}

/* ---- the client ------------------------------------------------------------------------------ */

static int
client_socket(void)
{
	struct timeval tv = {.tv_sec = 120};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_not_equal(fd, -1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return fd;
}

static int
client_connect_at(int fd)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	in.sin_port = htons(listener_port(listener.fd));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&in, sizeof(in));
}

static void
expect(int fd, const char *text)
{
	size_t n = strlen(text), got = 0;
	char buf[64];

	assert_true(n < sizeof(buf));
	while (got < n) {
		ssize_t k = recv(fd, buf + got, n - got, 0);

		assert_true(k > 0);
		got += (size_t)k;
	}
	assert_memory_equal(buf, text, n);
}

static void
expect_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	assert_true(n == 0 || (n == -1 && errno == ECONNRESET));
	close(fd);
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static int
client_new(void)
{
	int fd = client_socket();

	assert_int_equal(client_connect_at(fd), 0);
	expect(fd, GREETING);
	return fd;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
many_clients_get_their_own_bytes_back(void **state)
{
	int fds[40];
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		fds[i] = client_new();
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 40; i++) {
			snprintf(text, sizeof(text), "%u of %u\r\n", round, i);
			say(fds[i], text);
		}
		for (unsigned i = 0; i < 40; i++) {
			snprintf(text, sizeof(text), "%u of %u\r\n", round, i);
			expect(fds[i], text);
		}
	}
	for (unsigned i = 0; i < 40; i++)
		close(fds[i]);
	WAIT_FOR(atomic_load(&alive) == 0);
	assert_int_equal(door_sessions(), 0);
}

static void
bytes_and_fin_together_are_both_seen(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		int fd = client_new();

		say(fd, "last words\r\n");
		shutdown(fd, SHUT_WR);
		expect(fd, "last words\r\n");
		expect_end(fd);
	}
}

/* The client sends and does not read: the session stops reading, and nothing is lost. */
static void
a_client_that_does_not_read_stops_itself(void **state)
{
	static char block[64 * 1024], back[64 * 1024];
	int fd = client_new();
	size_t sent = 0, got = 0;

	(void)state;
	memset(block, 'x', sizeof(block));
	for (;;) {
		ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT);

		if (n == -1 && errno == EAGAIN)
			break;
		assert_true(n > 0);
		sent += (size_t)n;
	}
	while (got < sent) {
		ssize_t n = recv(fd, back, sizeof(back), 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	say(fd, "again\r\n");
	expect(fd, "again\r\n");
	close(fd);
}

static void
over_the_cap_of_an_address_comes_the_text_and_the_end(void **state)
{
	struct door_limits l = {.max_sessions = 100, .max_per_address = 2};
	struct door_stats before, after;
	int a, b, c;

	(void)state;
	door_set_limits(&l);
	door_get_stats(&before);
	a = client_new();
	b = client_new();
	c = client_socket();
	assert_int_equal(client_connect_at(c), 0);
	expect(c, BUSY);
	expect_end(c);
	door_get_stats(&after);
	assert_int_equal(after.refused_address - before.refused_address, 1);
	close(a);
	WAIT_FOR(atomic_load(&alive) == 1);
	a = client_new();
	close(a);
	close(b);
}

static void
over_the_cap_of_all_an_implicit_tls_port_is_silent(void **state)
{
	struct door_limits l = {.max_sessions = 1};
	int a = client_new(), b = client_socket();

	(void)state;
	door_set_limits(&l);
	listener.implicit_tls = true;
	assert_int_equal(client_connect_at(b), 0);
	expect_end(b);
	close(a);
}

static void
a_deadline_gives_a_turn_when_it_has_passed(void **state)
{
	int fd = client_new();

	(void)state;
	jump(IDLE_MS / 2);
	say(fd, "still here\r\n");
	expect(fd, "still here\r\n");
	jump(IDLE_MS / 2);
	say(fd, "and here\r\n");
	expect(fd, "and here\r\n");
	jump(IDLE_MS + 1000);
	expect_end(fd);
}

static void
a_kick_ends_a_parked_session(void **state)
{
	int fd = client_new();

	(void)state;
	WAIT_FOR(atomic_load(&alive) == 1);
	kick_all();
	expect_end(fd);
}

static void
a_newcomer_pushes_out_an_old_one_that_did_not_log_in(void **state)
{
	struct door_limits l = {.max_sessions = 10};
	struct door_stats before, after;
	int fds[10];

	(void)state;
	door_set_limits(&l);
	door_get_stats(&before);
	for (unsigned i = 0; i < 8; i++)
		fds[i] = client_new();
	WAIT_FOR(queue_depth() == 0);
	jump(6000);
	fds[8] = client_new();
	WAIT_FOR(atomic_load(&alive) == 8);
	door_get_stats(&after);
	assert_int_equal(after.pressured - before.pressured, 1);
	for (unsigned i = 0; i < 9; i++)
		close(fds[i]);
}

static void
without_descriptors_newcomers_wait_and_are_served_later(void **state)
{
	struct door_stats before, after;
	struct rlimit was, low;
	int fd = client_socket(), last = dup(fd);

	(void)state;
	assert_int_not_equal(last, -1);
	door_get_stats(&before);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = (rlim_t)last + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(client_connect_at(fd), 0); /* into the backlog */
	do {
		usleep(1000);
		door_get_stats(&after);
	} while (after.out_of_files == before.out_of_files);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	expect(fd, GREETING);
	say(fd, "patience\r\n");
	expect(fd, "patience\r\n");
	close(fd);
	close(last);
}

static void
behind_the_run_queue_nobody_is_accepted(void **state)
{
	struct door_stats before, after;
	int fds[WORKERS + 1], late;

	(void)state;
	door_get_stats(&before);
	atomic_store(&blocking, true);
	for (unsigned i = 0; i < WORKERS + 1; i++)
		fds[i] = client_new();
	for (unsigned i = 0; i < WORKERS + 1; i++)
		say(fds[i], "B\r\n");
	WAIT_FOR(atomic_load(&blocked) == WORKERS && queue_depth() == 1);
	jump(usual.shed_ms + 1000);
	late = client_socket();
	assert_int_equal(client_connect_at(late), 0);
	do {
		usleep(1000);
		door_get_stats(&after);
	} while (after.shed == before.shed);
	assert_int_equal(after.accepted - before.accepted, WORKERS + 1);
	atomic_store(&blocking, false);
	expect(late, GREETING);
	for (unsigned i = 0; i < WORKERS + 1; i++) {
		expect(fds[i], "B\r\n");
		close(fds[i]);
	}
	close(late);
}

static void
a_closed_door_refuses_and_sessions_live_on(void **state)
{
	int fd = client_new(), late = client_socket();
	struct sockaddr_in in = {.sin_family = AF_INET};

	(void)state;
	in.sin_port = htons(listener_port(listener.fd));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	acceptor_close_listeners();
	acceptor_close_listeners(); /* twice is harmless */
	assert_int_equal(connect(late, (struct sockaddr *)&in, sizeof(in)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	say(fd, "inside\r\n");
	expect(fd, "inside\r\n");
	close(late);
	close(fd);
}

static void
an_address_that_is_none_is_explained(void **state)
{
	static const struct {
		const char *address, *says;
	} cases[] = {
		{"*", "is not an IPv4 or IPv6 address"},
		{"localhost", "is not an IPv4 or IPv6 address"},
		{"192.0.2.1", "no interface of this machine"},
	};
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(listener_open(cases[i].address, 0, 0, err, sizeof(err)), -1);
		assert_non_null(strstr(err, cases[i].says));
	}
	assert_int_equal(
		listener_open("127.0.0.1", listener_port(listener.fd), 0, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "another program listens there"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, server_start, server_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_clients_get_their_own_bytes_back),
		TEST(bytes_and_fin_together_are_both_seen),
		TEST(a_client_that_does_not_read_stops_itself),
		TEST(over_the_cap_of_an_address_comes_the_text_and_the_end),
		TEST(over_the_cap_of_all_an_implicit_tls_port_is_silent),
		TEST(a_deadline_gives_a_turn_when_it_has_passed),
		TEST(a_kick_ends_a_parked_session),
		TEST(a_newcomer_pushes_out_an_old_one_that_did_not_log_in),
		TEST(without_descriptors_newcomers_wait_and_are_served_later),
		TEST(behind_the_run_queue_nobody_is_accepted),
		TEST(a_closed_door_refuses_and_sessions_live_on),
		TEST(an_address_that_is_none_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
