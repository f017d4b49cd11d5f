/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood PORT KIND COUNT UNIT [LINE...] - a TLS client that never pauses, or one that often changes
 * its keys.
 *
 * LINEs are sent first, and each gets one reply; those with a leading "clear:" before TLS begins,
 * and after "send:" no reply is expected. Then:
 *
 *   records      COUNT records of TLS 1.3, UNIT in each
 *   updates      COUNT key updates that ask for one in return
 *   hellos       COUNT attempts at renegotiation (TLS 1.2)
 *   rekey        COUNT times a key update and the line UNIT, which is answered
 *   fetch        the line UNIT, whose answer ends with a dot; a key update for every COUNT octets
 *                of it; then NOOP
 *
 * COUNT 0: without end. Data from the server during a flood is thrown away. "flooding" is printed
 * when it begins; then how it ended: "cut" when the server has closed the connection, "told" when
 * standard input ended, "well" when rekey or fetch had all their answers. Exit 1: something went
 * wrong; standard error has the reason.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 512 /* units made ahead: sending must be cheaper than receiving */
#define UNIT_MAX 200

static struct {
	int fd;
	SSL *ssl;
	const char *unit;
	uint64_t count, made, said; /* said: records of ours before the flood */
	unsigned char out[BATCH * (UNIT_MAX + 64)];
	size_t n_out, sent;
	bool deaf; /* the server has sent its last reply */
} f;

/* TLS 1.2 by hand: OpenSSL's client gives up after one refused renegotiation. */
static struct {
	unsigned char key[16], salt[4];
	uint64_t sequence;
} hand;

static void
die(const char *what)
{
	unsigned long e = ERR_get_error();

	fprintf(stderr, "flood: %s: %s\n", what, e ? ERR_reason_error_string(e) : strerror(errno));
	exit(1);
}

/* ---- before ---------------------------------------------------------------------------------- */

static ssize_t
take(void *p, size_t n)
{
	return f.ssl ? SSL_read(f.ssl, p, (int)n) : recv(f.fd, p, n, 0);
}

static void
put(const char *p, size_t n)
{
	if ((f.ssl ? SSL_write(f.ssl, p, (int)n) : send(f.fd, p, n, 0)) != (ssize_t)n)
		die("sending");
	f.said += f.ssl != NULL;
}

static void
read_line(char *line, size_t cap)
{
	size_t n = 0;

	do {
		if (n + 1 == cap || take(line + n, 1) != 1)
			die("waiting for a reply");
	} while (line[n++] != '\n');
	line[n] = '\0';
}

/* One line, or "250-..." and more. */
static void
read_reply(void)
{
	char line[1024];

	do
		read_line(line, sizeof(line));
	while (line[0] >= '0' && line[0] <= '9' && line[3] == '-');
}

static void
put_line(const char *line)
{
	char text[2 * UNIT_MAX];

	put(text, (size_t)snprintf(text, sizeof(text), "%s\r\n", line));
}

static void
say(const char *line)
{
	bool silent = strncmp(line, "send:", 5) == 0;

	put_line(line + (silent ? 5 : 0));
	if (!silent)
		read_reply();
}

static void
begin_tls(int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256");
	f.ssl = SSL_new(ctx);
	if (!f.ssl || SSL_set_fd(f.ssl, f.fd) != 1 || SSL_connect(f.ssl) != 1)
		die("TLS handshake");
}

static void
begin(uint16_t port, int version, char **lines, int n)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool clear = n > 0 && strncmp(lines[0], "clear:", 6) == 0;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (f.fd == -1 || connect(f.fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)
		die("connect");
	if (!clear)
		begin_tls(version);
	read_reply();
	for (int i = 0; i < n; i++) {
		bool in_clear = strncmp(lines[i], "clear:", 6) == 0;

		if (!in_clear && !f.ssl)
			begin_tls(version);
		say(lines[i] + (in_clear ? 6 : 0));
	}
	if (!f.ssl)
		begin_tls(version);
}

/* ---- units ----------------------------------------------------------------------------------- */

static void
make_record(void)
{
	if (SSL_write(f.ssl, f.unit, (int)strlen(f.unit)) <= 0)
		die("SSL_write");
}

static void
make_update(void)
{
	if (SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(f.ssl) != 1)
		die("SSL_key_update");
}

/* RFC 5246 section 6.3; keys and salts of both sides, ours first. */
static void
hand_begin(void)
{
	unsigned char seed[13 + 64] = "key expansion", secret[48], block[40];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof(secret)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
		OSSL_PARAM_construct_end()};

	SSL_get_server_random(f.ssl, seed + 13, 32);
	SSL_get_client_random(f.ssl, seed + 45, 32);
	if (SSL_SESSION_get_master_key(SSL_get_session(f.ssl), secret, sizeof(secret)) !=
		    sizeof(secret) ||
	    EVP_KDF_derive(ctx, block, sizeof(block), params) != 1)
		die("key expansion");
	memcpy(hand.key, block, 16);
	memcpy(hand.salt, block + 32, 4);
	hand.sequence = 1 + f.said; /* 0 was Finished */
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* RFC 5246 section 6.2.3.3, RFC 5288 section 3. */
static void
hand_record(unsigned char type, const unsigned char *text, int n)
{
	unsigned char *to = f.out + f.n_out, iv[12], aad[13];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	for (int i = 0; i < 8; i++)
		aad[i] = (unsigned char)(hand.sequence >> (56 - 8 * i));
	memcpy(aad + 8, (unsigned char[]){type, 3, 3, 0, (unsigned char)n}, 5);
	memcpy(iv, hand.salt, 4);
	memcpy(iv + 4, aad, 8);
	memcpy(to, (unsigned char[]){type, 3, 3, 0, (unsigned char)(8 + n + 16)}, 5);
	memcpy(to + 5, aad, 8);
	if (EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, hand.key, iv) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &len, aad, sizeof(aad)) != 1 ||
	    EVP_EncryptUpdate(ctx, to + 13, &len, text, n) != 1 ||
	    EVP_EncryptFinal_ex(ctx, to + 13 + n, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, to + 13 + n) != 1)
		die("AES-GCM");
	EVP_CIPHER_CTX_free(ctx);
	hand.sequence++;
	f.n_out += (size_t)(13 + n + 16);
}

static void
make_hello(void)
{
	static const unsigned char hello[4 + 41] = {1, 0, 0,    41,   3, 3, [4 + 34] = 0,
						    0, 2, 0xc0, 0x2b, 1, 0};

	hand_record(22, hello, sizeof(hello));
}

/* ---- the flood ------------------------------------------------------------------------------- */

static void
make_batch(BIO *wire, void (*make)(void))
{
	f.n_out = f.sent = 0;
	for (int i = 0; i < BATCH && (f.count == 0 || f.made < f.count); i++, f.made++)
		make();
	if (make != make_hello)
		f.n_out = BIO_pending(wire) > 0 ? (size_t)BIO_read(wire, f.out, sizeof(f.out)) : 0;
}

/* False: the connection is gone. A server that only has nothing more to send may still
 * listen. */
static bool
forget_replies(void)
{
	char rest[65536];
	ssize_t n = recv(f.fd, rest, sizeof(rest), 0);

	f.deaf = n == 0;
	return n >= 0 || errno == EAGAIN;
}

static bool
send_some(void)
{
	ssize_t n = send(f.fd, f.out + f.sent, f.n_out - f.sent, MSG_NOSIGNAL);

	if (n > 0)
		f.sent += (size_t)n;
	return n >= 0 || errno == EAGAIN;
}

static const char *
flood(void (*make)(void))
{
	BIO *wire = BIO_new(BIO_s_mem());

	if (make == make_hello)
		hand_begin();
	SSL_set0_wbio(f.ssl, wire);
	fcntl(f.fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		struct pollfd p[2] = {{.fd = f.fd}, {.fd = STDIN_FILENO, .events = POLLIN}};

		if (f.sent == f.n_out)
			make_batch(wire, make);
		p[0].events = (short)((f.deaf ? 0 : POLLIN) | (f.n_out > 0 ? POLLOUT : 0));
		poll(p, 2, -1);
		if (p[1].revents)
			return "told";
		if ((p[0].revents & POLLIN) && !forget_replies())
			return "cut";
		if ((p[0].revents & (POLLOUT | POLLERR | POLLHUP)) && !send_some())
			return "cut";
		if (f.deaf && f.n_out == 0)
			return "cut"; /* nothing is left to try it with */
	}
}

/* ---- honest clients -------------------------------------------------------------------------- */

static const char *
rekey(void)
{
	for (uint64_t i = 0; i < f.count; i++) {
		make_update();
		say(f.unit);
	}
	return "well";
}

static const char *
fetch(void)
{
	uint64_t got = 0, due = f.count;
	char text[8192], last[5] = "";

	put_line(f.unit);
	while (memcmp(last, "\r\n.\r\n", 5) != 0) {
		ssize_t n = take(text, sizeof(text));

		if (n <= 0)
			die("fetching");
		for (ssize_t i = n < 5 ? 0 : n - 5; i < n; i++) {
			memmove(last, last + 1, 4);
			last[4] = text[i];
		}
		for (got += (uint64_t)n; got >= due; due += f.count)
			make_update();
	}
	say("NOOP");
	return "well";
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int version;
		void (*make)(void);
		const char *(*run)(void);
	} kinds[] = {{"records", TLS1_3_VERSION, make_record, NULL},
		     {"updates", TLS1_3_VERSION, make_update, NULL},
		     {"hellos", TLS1_2_VERSION, make_hello, NULL},
		     {"rekey", TLS1_3_VERSION, NULL, rekey},
		     {"fetch", TLS1_3_VERSION, NULL, fetch}};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc >= 5 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[2], kinds[i].name) != 0)
			continue;
		f.count = strtoull(argv[3], NULL, 10);
		f.unit = argv[4];
		begin((uint16_t)strtoul(argv[1], NULL, 10), kinds[i].version, argv + 5, argc - 5);
		printf("flooding\n");
		fflush(stdout);
		puts(kinds[i].make ? flood(kinds[i].make) : kinds[i].run());
		return 0;
	}
	fprintf(stderr, "usage: flood PORT KIND COUNT UNIT [LINE...]\n");
	return 1;
}
