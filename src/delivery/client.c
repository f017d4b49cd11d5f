/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/num.h"
#include "delivery/address.h"

#define PIECE 16384
#define LINE_MAX_OCTETS 2048
#define WAIT_S 300
#define FROM_OCTETS 5

struct client {
	int fd;
	char in[LINE_MAX_OCTETS];
	size_t in_n;
	char reply[LINE_MAX_OCTETS]; /* the last line of it */
};

/* ---- the socket ------------------------------------------------------------------------------ */

static bool
put(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* One line without its end; false: there is none any more. */
static bool
get_line(struct client *c)
{
	for (;;) {
		char *lf = memchr(c->in, '\n', c->in_n);
		ssize_t got;

		if (lf) {
			size_t n = (size_t)(lf - c->in), end = n > 0 && lf[-1] == '\r' ? n - 1 : n;

			memcpy(c->reply, c->in, end);
			c->reply[end] = '\0';
			c->in_n -= n + 1;
			memmove(c->in, lf + 1, c->in_n);
			return true;
		}
		if (c->in_n == sizeof(c->in))
			return false;
		got = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		c->in_n += (size_t)got;
	}
}

/* The code of a reply; 0: the connection is gone. */
static int
get_reply(struct client *c)
{
	uint64_t code;

	do
		if (!get_line(c) || strlen(c->reply) < 3 || !num_parse(c->reply, 3, 999, &code))
			return 0;
	while (c->reply[3] == '-');
	return (int)code;
}

static int
ask(struct client *c, const char *line)
{
	return put(c, line, strlen(line)) ? get_reply(c) : 0;
}

/* ---- what a reply means ---------------------------------------------------------------------- */

static const struct {
	const char *enhanced; /* its beginning */
	int exit_code;
} meanings[] = {
	{"5.1.", EX_NOUSER},	 {"5.2.1", EX_NOUSER},	 {"5.2.2", EX_CANTCREAT}, {"5.3.4", EX_DATAERR},
	{"5.6.", EX_DATAERR}, {"5.7.", EX_NOPERM},	 {"5.4.6", EX_UNAVAILABLE},
};

static int
judge(const struct client *c, int code)
{
	const char *enhanced = code ? c->reply + 4 : "";

	if (code >= 200 && code < 300)
		return EX_OK;
	fprintf(stderr, "restante-deliver: %s\n", code ? c->reply : "the connection to the server was lost");
	if (code < 500)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strncmp(enhanced, meanings[i].enhanced, strlen(meanings[i].enhanced)) == 0)
			return meanings[i].exit_code;
	return EX_UNAVAILABLE;
}

/* ---- the message ----------------------------------------------------------------------------- */

struct text {
	bool bol, cr, first, skip; /* skip: the line "From " of an mbox */
};

/* As DATA wants it: CRLF, dots doubled. out: at most 3n. */
static size_t
stuff(struct text *t, const char *in, size_t n, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < n; i++) {
		if (t->bol && in[i] == '.')
			out[o++] = '.';
		if (in[i] == '\n' && !t->cr)
			out[o++] = '\r';
		out[o++] = in[i];
		t->cr = in[i] == '\r';
		t->bol = in[i] == '\n';
	}
	return o;
}

/* Leaves out the line "From ". */
static size_t
strip_from(struct text *t, char *in, size_t n)
{
	char *lf;

	if (t->first)
		t->skip = n >= FROM_OCTETS && memcmp(in, "From ", FROM_OCTETS) == 0;
	t->first = false;
	if (!t->skip)
		return n;
	lf = memchr(in, '\n', n);
	if (!lf)
		return 0;
	t->skip = false;
	n -= (size_t)(lf + 1 - in);
	memmove(in, lf + 1, n);
	return n;
}

/* As read(2), but at least FROM_OCTETS unless the end comes first: the line "From " is told by them. */
static ssize_t
read_piece(int from, char *in, size_t cap, bool first)
{
	size_t n = 0;

	do {
		ssize_t got = read(from, in + n, cap - n);

		if (got < 0 && errno != EINTR)
			return -1;
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
	} while (n == 0 || (first && n < FROM_OCTETS));
	return (ssize_t)n;
}

/* False: the server is gone, or standard input could not be read. *ret_exit: which. */
static bool
send_message(struct client *c, int from, int *ret_exit)
{
	struct text t = {.bol = true, .first = true};
	char in[PIECE], out[3 * PIECE];
	ssize_t got;

	*ret_exit = EX_TEMPFAIL;
	while ((got = read_piece(from, in, sizeof(in), t.first)) != 0) {
		size_t n;

		if (got < 0) {
			fprintf(stderr, "restante-deliver: standard input: %s (%d)\n", strerrordesc_np(errno), errno);
			*ret_exit = EX_IOERR;
			return false; /* the end is not sent: nothing is delivered */
		}
		n = strip_from(&t, in, (size_t)got);
		if (!put(c, out, stuff(&t, in, n, out))) {
			fprintf(stderr, "restante-deliver: the connection to the server was lost\n");
			return false;
		}
	}
	return put(c, t.bol ? ".\r\n" : t.cr ? "\n.\r\n" : "\r\n.\r\n", t.bol ? 3 : t.cr ? 4 : 5);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool
is_ascii(const char *p)
{
	for (; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return false;
	return true;
}

static bool
is_address(const char *p)
{
	for (const char *x = p; *x; x++)
		if ((unsigned char)*x < 0x20 || *x == 0x7f)
			return false;
	return strlen(p) <= ADDRESS_MAX;
}

int
client_deliver(int fd, const char *sender, const char *address, int from)
{
	const struct timeval wait = {.tv_sec = WAIT_S};
	struct client c = {.fd = fd};
	char quoted[ADDRESS_QUOTED_MAX + 1], line[ADDRESS_QUOTED_MAX + 100];
	int code, exit_code;

	if (!is_address(sender) || !is_address(address)) {
		fprintf(stderr, "restante-deliver: an address is too long, or has control characters\n");
		return EX_USAGE;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)); /* without it we wait longer */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	code = get_reply(&c);
	if (code == 220)
		code = ask(&c, "LHLO localhost\r\n");
	if (code != 250)
		return judge(&c, code);
	(void)address_quote(sender, strlen(sender), quoted);
	snprintf(line, sizeof(line), "MAIL FROM:<%s> BODY=8BITMIME%s\r\n", quoted,
		 is_ascii(sender) && is_ascii(address) ? "" : " SMTPUTF8");
	code = ask(&c, line);
	if (code != 250)
		return judge(&c, code);
	(void)address_quote(address, strlen(address), quoted);
	snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", quoted);
	code = ask(&c, line);
	if (code != 250)
		return judge(&c, code);
	code = ask(&c, "DATA\r\n");
	if (code != 354)
		return judge(&c, code);
	if (!send_message(&c, from, &exit_code))
		return exit_code;
	exit_code = judge(&c, get_reply(&c));
	(void)put(&c, "QUIT\r\n", 6); /* a courtesy */
	return exit_code;
}
