/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over a socket pair, plain and TLS; resumption across contexts; bad files. */
#include "clock_rig.h"
#include "net/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "net/acceptor.h"
#include "net/tls.h"
#include "work/queue.h"

static char dir[] = "/tmp/restante-tls-XXXXXX";
static char cert_a[64], key_a[64], cert_b[64], key_b[64], garbage[64], locked[64], missing[64];
static int64_t ahead_ms;

static int64_t
test_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + ahead_ms;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void
write_key(const char *path, EVP_PKEY *key, const char *passphrase)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL,
					      0, NULL, (void *)passphrase),
			 1);
	assert_int_equal(fclose(f), 0);
}

static void
make_pair(const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *f = fopen(cert_path, "w");

	assert_true(key && x && f);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1,
				   -1, 0);
	X509_set_issuer_name(x, name);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
	write_key(key_path, key, NULL);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
name_file(char *buf, const char *name)
{
	snprintf(buf, 64, "%s/%s", dir, name);
}

static int
files_make(void **state)
{
	EVP_PKEY *key;
	FILE *f;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	clock_replace(test_clock);
	assert_non_null(mkdtemp(dir));
	tls_global_init();
	name_file(cert_a, "a.crt");
	name_file(key_a, "a.key");
	name_file(cert_b, "b.crt");
	name_file(key_b, "b.key");
	name_file(garbage, "garbage.pem");
	name_file(locked, "locked.key");
	name_file(missing, "missing.pem");
	make_pair(cert_a, key_a);
	make_pair(cert_b, key_b);
	f = fopen(garbage, "w");
	assert_non_null(f);
	fputs("this is no certificate\n", f);
	assert_int_equal(fclose(f), 0);
	key = EVP_EC_gen("P-256");
	write_key(locked, key, "secret");
	EVP_PKEY_free(key);
	return 0;
}

static int
files_remove(void **state)
{
	const char *all[] = {cert_a, key_a, cert_b, key_b, garbage, locked};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		unlink(all[i]);
	rmdir(dir);
	return 0;
}

static struct tls *
server_new(const char *min_version)
{
	struct tls_options o = {.certificate = cert_a, .key = key_a, .min_version = min_version};
	char err[256] = "";
	struct tls *t = tls_new(&o, err, sizeof(err));

	assert_string_equal(err, "");
	assert_non_null(t);
	return t;
}

/* ---- two ends -------------------------------------------------------------------------------- */

struct ends {
	struct conn server;
	int client;
	SSL_CTX *ctx;
	SSL *ssl;
};

static void
ends_open(struct ends *e)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	*e = (struct ends){.client = fds[1]};
	conn_init(&e->server, fds[0]);
}

static void
ends_close(struct ends *e)
{
	conn_close(&e->server);
	if (e->ssl) /* or OpenSSL would take the client's session for a broken one */
		SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(e->ssl);
	SSL_CTX_free(e->ctx);
	if (e->client != -1)
		close(e->client);
}

/* A client, perhaps with an earlier session; does the whole handshake. False: refused. */
static bool
ends_handshake(struct ends *e, struct tls *t, int max_version, SSL_SESSION *session)
{
	int s = CONN_WANT_READ, c = 0;

	assert_true(conn_tls(&e->server, t));
	e->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(e->ctx, max_version);
	e->ssl = SSL_new(e->ctx);
	SSL_set_fd(e->ssl, e->client);
	SSL_set_connect_state(e->ssl);
	if (session)
		assert_int_equal(SSL_set_session(e->ssl, session), 1);
	for (unsigned i = 0; i < 100 && (s != 1 || c != 1); i++) {
		if (c != 1) {
			c = SSL_do_handshake(e->ssl);
			if (c != 1 && SSL_get_error(e->ssl, c) != SSL_ERROR_WANT_READ)
				return false;
		}
		if (s != 1)
			s = conn_handshake(&e->server);
		if (s == CONN_FAIL)
			return false;
		assert_true(s == 1 || s == CONN_WANT_READ || s == CONN_WANT_WRITE);
	}
	assert_true(s == 1 && c == 1);
	return true;
}

static void
client_reads(struct ends *e, const char *text)
{
	size_t n = strlen(text);
	char buf[64];

	assert_int_equal(SSL_read(e->ssl, buf, sizeof(buf)), n);
	assert_memory_equal(buf, text, n);
}

/* ---- plain ----------------------------------------------------------------------------------- */

static void
plain_reads_and_writes_report_the_outcome(void **state)
{
	struct ends e;
	char buf[8];

	(void)state;
	ends_open(&e);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_WANT_READ);
	assert_true(e.server.drained);
	assert_int_equal(send(e.client, "0123456789", 10, 0), 10);
	assert_int_equal(conn_read(&e.server, buf, 8), 8);
	assert_false(e.server.drained); /* full: there may be more */
	assert_int_equal(conn_read(&e.server, buf, 8), 2);
	assert_true(e.server.short_read && e.server.drained);
	assert_int_equal(conn_write(&e.server, "ok", 2), 2);
	assert_int_equal(e.server.octets_in, 10);
	assert_int_equal(e.server.octets_out, 2);
	assert_null(conn_tls_version(&e.server));
	close(e.client);
	e.client = -1;
	assert_true(conn_read(&e.server, buf, 8) <= 0);
	assert_int_equal(conn_write(&e.server, "ok", 2), CONN_FAIL); /* and no SIGPIPE */
	ends_close(&e);
}

static void
a_full_socket_wants_to_write(void **state)
{
	static char block[65536];
	struct ends e;
	ssize_t n;

	(void)state;
	ends_open(&e);
	do
		n = conn_write(&e.server, block, sizeof(block));
	while (n > 0);
	assert_int_equal(n, CONN_WANT_WRITE);
	conn_shutdown(&e.server);
	ends_close(&e);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static void
bytes_travel_both_ways_in_both_versions(void **state)
{
	static const struct {
		int version;
		const char *name;
	} cases[] = {{TLS1_2_VERSION, "TLSv1.2"}, {TLS1_3_VERSION, "TLSv1.3"}};
	struct tls *t = server_new(NULL);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ends e;
		char buf[64];

		ends_open(&e);
		assert_true(ends_handshake(&e, t, cases[i].version, NULL));
		assert_string_equal(conn_tls_version(&e.server), cases[i].name);
		assert_int_equal(conn_is_tls13(&e.server), i == 1);
		assert_int_equal(conn_write(&e.server, "+OK\r\n", 5), 5);
		client_reads(&e, "+OK\r\n");
		assert_int_equal(SSL_write(e.ssl, "NOOP\r\nSTAT\r\n", 12), 12);
		assert_int_equal(conn_read(&e.server, buf, 6), 6);
		assert_false(e.server.drained); /* the rest is inside OpenSSL */
		assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), 6);
		assert_false(e.server.drained); /* only WANT_READ is an answer */
		assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_WANT_READ);
		assert_true(e.server.drained);
		SSL_shutdown(e.ssl);
		assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_EOF);
		assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_EOF);
		conn_shutdown(&e.server);
		assert_true(SSL_read(e.ssl, buf, sizeof(buf)) <= 0);
		assert_int_equal(SSL_get_shutdown(e.ssl),
				 SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		ends_close(&e);
	}
	tls_free(t);
}

/* One octet of a record each time OpenSSL looks at the socket: a call ends before the record
 * does, and says that more is there. */
static void
a_call_looks_at_the_socket_a_few_times_only(void **state)
{
	struct tls *t = server_new(NULL);
	BIO *wire = BIO_new(BIO_s_mem());
	char record[128], buf[64];
	unsigned calls = 1;
	struct ends e;
	int fds[2], n;
	ssize_t got;

	(void)state;
	ends_open(&e);
	assert_true(ends_handshake(&e, t, TLS1_3_VERSION, NULL));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	assert_int_equal(dup2(fds[0], e.server.fd), e.server.fd);
	SSL_set0_wbio(e.ssl, wire);
	assert_int_equal(SSL_write(e.ssl, "NOOP\r\n", 6), 6);
	n = BIO_read(wire, record, sizeof(record));
	assert_in_range(n, 20, 64);
	for (int i = 0; i < n; i++)
		assert_int_equal(send(fds[1], record + i, 1, 0), 1);
	for (; (got = conn_read(&e.server, buf, sizeof(buf))) == CONN_WANT_READ; calls++)
		assert_false(e.server.drained); /* or nobody would read on */
	assert_int_equal(got, 6);
	assert_in_range(calls, 3, (unsigned)n);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_WANT_READ);
	assert_true(e.server.drained);
	close(fds[0]);
	close(fds[1]);
	ends_close(&e);
	tls_free(t);
}

static void
an_end_without_close_notify_is_an_end(void **state)
{
	struct tls *t = server_new(NULL);
	struct ends e;
	char buf[16];

	(void)state;
	ends_open(&e);
	assert_true(ends_handshake(&e, t, TLS1_3_VERSION, NULL));
	tls_free(t); /* the session keeps what it needs */
	assert_int_equal(SSL_write(e.ssl, "QUIT\r\n", 6), 6);
	shutdown(e.client, SHUT_WR);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), 6);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_EOF);
	assert_int_equal(conn_write(&e.server, "+OK\r\n", 5), 5);
	client_reads(&e, "+OK\r\n");
	ends_close(&e);
}

static void
a_client_without_tls_fails_once_and_for_all(void **state)
{
	struct tls *t = server_new(NULL);
	struct ends e;

	(void)state;
	ends_open(&e);
	assert_true(conn_tls(&e.server, t));
	assert_int_equal(conn_handshake(&e.server), CONN_WANT_READ);
	assert_int_equal(send(e.client, "USER ann\r\nPASS x\r\n", 18, 0), 18);
	assert_null(conn_tls_version(&e.server));
	assert_int_equal(conn_handshake(&e.server), CONN_FAIL);
	assert_null(conn_tls_version(&e.server));
	assert_non_null(e.server.fault);
	conn_shutdown(&e.server);
	ends_close(&e);
	tls_free(t);
}

static void
the_lowest_version_is_kept(void **state)
{
	struct tls *t = server_new("1.3");
	struct ends e;

	(void)state;
	ends_open(&e);
	assert_false(ends_handshake(&e, t, TLS1_2_VERSION, NULL));
	ends_close(&e);
	tls_free(t);
}

/* ---- resumption ------------------------------------------------------------------------------ */

/* A session of the client, made with t. The ticket of TLS 1.3 comes with the first bytes. */
static SSL_SESSION *
session_from(struct tls *t, int version)
{
	SSL_SESSION *session;
	struct ends e;

	ends_open(&e);
	assert_true(ends_handshake(&e, t, version, NULL));
	assert_int_equal(conn_write(&e.server, "+OK\r\n", 5), 5);
	client_reads(&e, "+OK\r\n");
	assert_false(SSL_session_reused(e.ssl));
	session = SSL_get1_session(e.ssl);
	assert_true(SSL_SESSION_is_resumable(session));
	ends_close(&e);
	return session;
}

static bool
resumes(struct tls *t, int version, SSL_SESSION *session)
{
	struct ends e;
	bool yes;

	ends_open(&e);
	assert_true(ends_handshake(&e, t, version, session));
	assert_int_equal(conn_write(&e.server, "+OK\r\n", 5), 5);
	client_reads(&e, "+OK\r\n");
	yes = SSL_session_reused(e.ssl);
	assert_int_equal(SSL_session_reused(e.server.ssl), yes);
	ends_close(&e);
	return yes;
}

static void
a_ticket_is_good_in_another_context_until_its_key_is_gone(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tls *old = server_new(NULL), *new = server_new(NULL);
		SSL_SESSION *s = session_from(old, versions[i]);

		assert_true(resumes(old, versions[i], s));
		tls_free(old); /* a reload */
		assert_true(resumes(new, versions[i], s));
		ahead_ms += 3700 * 1000; /* the next key seals; this one still opens */
		assert_true(resumes(new, versions[i], s));
		ahead_ms += 3 * 3600 * 1000;
		assert_false(resumes(new, versions[i], s));
		SSL_SESSION_free(s);
		tls_free(new);
	}
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
errors_name_the_file_and_the_expected_content(void **state)
{
	const struct {
		struct tls_options o;
		const char *file, *says;
	} cases[] = {
		{{.certificate = missing, .key = key_a}, missing, "No such file or directory (2)"},
		{{.certificate = garbage, .key = key_a},
		 garbage,
		 "expected certificates in PEM form"},
		{{.certificate = cert_a, .key = missing}, missing, "No such file or directory (2)"},
		{{.certificate = cert_a, .key = garbage},
		 garbage,
		 "expected a private key in PEM form"},
		{{.certificate = cert_a, .key = locked}, locked, "without a passphrase"},
		{{.certificate = cert_a, .key = key_b},
		 key_b,
		 "does not belong to the first certificate"},
		{{.certificate = cert_a, .key = key_a, .min_version = "1.1"},
		 "1.1",
		 "expected 1.2 or 1.3"},
		{{.certificate = cert_a, .key = key_a, .ciphers = "NONSENSE"},
		 "NONSENSE",
		 "expected an OpenSSL cipher list"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char err[256] = "";

		assert_null(tls_new(&cases[i].o, err, sizeof(err)));
		assert_non_null(strstr(err, cases[i].file));
		assert_non_null(strstr(err, cases[i].says));
	}
}

static void
the_end_of_the_certificate_is_known(void **state)
{
	struct tls *t = server_new(NULL);
	int64_t left = tls_not_after_ms(t) - wall_ms();

	(void)state;
	assert_true(left > 86000LL * 1000 && left <= 86400LL * 1000);
	assert_non_null(tls_ctx(t));
	tls_free(t);
	tls_free(NULL);
}

/* ---- arming ---------------------------------------------------------------------------------- */

static struct task task;

static int
engine_start(void **state)
{
	struct door_limits l = {.max_sessions = 4};

	(void)state;
	queue_init();
	assert_true(slot_init(4));
	assert_true(acceptor_start(&l, NULL, 0));
	assert_non_null(slot_take(&task));
	return 0;
}

static int
engine_stop(void **state)
{
	(void)state;
	acceptor_stop();
	slot_retire(task.slot);
	slot_release(task.slot);
	slot_fini();
	queue_fini();
	return 0;
}

/* A parked task is ours again: nobody else pops in this test. */
static void
own_again(void)
{
	struct queue_worker *w = queue_worker_new();

	assert_true(slot_wake(slot_get_token(task.slot), 0));
	assert_ptr_equal(queue_pop(w), &task); /* woken now, or by an edge before */
	queue_worker_free(w);
	slot_set_running(task.slot);
}

/* Parking would lose input that no edge will announce: the task gets one more turn instead. */
static void
arming_sees_input_that_was_left(void **state)
{
	struct tls *t = server_new(NULL);
	struct ends e;
	char buf[4];

	(void)state;
	ends_open(&e);
	assert_true(ends_handshake(&e, t, TLS1_3_VERSION, NULL));
	assert_int_equal(SSL_write(e.ssl, "NOOP\r\n", 6), 6);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), 4);
	assert_true(conn_arm(&e.server, task.slot, CONN_WANT_READ));
	assert_false(slot_park(task.slot));
	/* the turn held input back on purpose: now it may park, if nothing new comes */
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), 2);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_WANT_READ);
	assert_true(conn_arm(&e.server, task.slot, CONN_WANT_READ));
	while (!slot_park(task.slot))
		; /* the edge of ADD may come late */
	ends_close(&e);
	tls_free(t);
	own_again();
}

static void
with_the_peer_gone_a_short_read_is_not_the_end(void **state)
{
	struct ends e;
	char buf[16];

	(void)state;
	ends_open(&e);
	assert_int_equal(send(e.client, "QUIT\r\n", 6, 0), 6);
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), 6);
	assert_true(e.server.short_read);
	slot_add_note(slot_get_token(task.slot), NOTE_HUP);
	assert_true(conn_arm(&e.server, task.slot, CONN_WANT_READ));
	assert_false(slot_park(task.slot));
	ends_close(&e);
}

/* Input that arrived while the task was in the run queue made an edge that nobody took. */
static void
an_edge_may_have_been_spent_in_the_queue(void **state)
{
	struct ends e;
	char buf[16];

	(void)state;
	ends_open(&e);
	assert_true(conn_arm(&e.server, task.slot, CONN_WANT_READ));
	while (!slot_park(task.slot))
		;
	own_again();
	assert_int_equal(conn_read(&e.server, buf, sizeof(buf)), CONN_WANT_READ);
	task.pops++; /* it yielded */
	assert_true(conn_arm(&e.server, task.slot, CONN_WANT_READ));
	assert_false(slot_park(task.slot));
	ends_close(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_reads_and_writes_report_the_outcome),
		cmocka_unit_test(a_full_socket_wants_to_write),
		cmocka_unit_test(bytes_travel_both_ways_in_both_versions),
		cmocka_unit_test(a_call_looks_at_the_socket_a_few_times_only),
		cmocka_unit_test(an_end_without_close_notify_is_an_end),
		cmocka_unit_test(a_client_without_tls_fails_once_and_for_all),
		cmocka_unit_test(the_lowest_version_is_kept),
		cmocka_unit_test(a_ticket_is_good_in_another_context_until_its_key_is_gone),
		cmocka_unit_test(errors_name_the_file_and_the_expected_content),
		cmocka_unit_test(the_end_of_the_certificate_is_known),
		cmocka_unit_test_setup_teardown(arming_sees_input_that_was_left, engine_start,
						engine_stop),
		cmocka_unit_test_setup_teardown(with_the_peer_gone_a_short_read_is_not_the_end,
						engine_start, engine_stop),
		cmocka_unit_test_setup_teardown(an_edge_may_have_been_spent_in_the_queue,
						engine_start, engine_stop),
	};

	return cmocka_run_group_tests(tests, files_make, files_remove);
}
