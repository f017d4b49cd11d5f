/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "pipe/stuff.h"
#include "pipe/sysexit.h"
#include "pipe/wait.h"
#include "smtp/dparse.h"

/* RFC 5321 section 4.5.3.2 */
#define REPLY_MS 300000
#define END_MS 600000
#define SEND_MS 180000

#define LINE_OCTETS 2048
#define PIECE 16384

struct client {
	int fd;
	size_t in_n;
	bool size, eight_bit, utf8; /* offered by LHLO */
	char in[LINE_OCTETS];
	char reply[LINE_OCTETS]; /* its last line */
};

/* ---- the socket ------------------------------------------------------------------------------ */

static bool
client_put(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (w > 0) {
			p += w;
			n -= (size_t)w;
		} else if (w == -1 && errno != EAGAIN && errno != EINTR) {
			return false;
		} else if (!wait_ready(c->fd, POLLOUT, SEND_MS)) {
			return false;
		}
	}
	return true;
}

/* Takes the line that ends at lf out of `in`. */
static void
take_line(struct client *c, const char *lf)
{
	size_t n = (size_t)(lf - c->in), end = n > 0 && lf[-1] == '\r' ? n - 1 : n;

	memcpy(c->reply, c->in, end);
	c->reply[end] = '\0';
	for (size_t i = 0; i < end; i++)
		if ((unsigned char)c->reply[i] < 0x20 || c->reply[i] == 0x7f)
			c->reply[i] = '?'; /* it is shown to people */
	c->in_n -= n + 1;
	memmove(c->in, lf + 1, c->in_n);
}

static bool
get_line(struct client *c, int64_t ms)
{
	for (;;) {
		char *lf = memchr(c->in, '\n', c->in_n);
		ssize_t got;

		if (lf) {
			take_line(c, lf);
			return true;
		}
		if (c->in_n == sizeof(c->in) - 1 || !wait_ready(c->fd, POLLIN, ms))
			return false;
		got = recv(c->fd, c->in + c->in_n, sizeof(c->in) - 1 - c->in_n, MSG_DONTWAIT);
		if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
			return false;
		c->in_n += got > 0 ? (size_t)got : 0;
	}
}

static void
note_extension(struct client *c)
{
	const char *word = c->reply + 4;

	if (strlen(c->reply) < 4)
		return;
	c->size = c->size || strncasecmp(word, "SIZE", 4) == 0;
	c->eight_bit = c->eight_bit || strcasecmp(word, "8BITMIME") == 0;
	c->utf8 = c->utf8 || strcasecmp(word, "SMTPUTF8") == 0;
}

/* The last line of the next reply; NULL: there is none any more. */
static const char *
get_reply(struct client *c, int64_t ms)
{
	do {
		if (!get_line(c, ms))
			return NULL;
		note_extension(c); /* of LHLO; elsewhere it means nothing any more */
	} while (strlen(c->reply) > 3 && c->reply[3] == '-');
	return c->reply;
}

/* A command, and the reply to it. */
__attribute__((format(printf, 2, 3))) static const char *
client_ask(struct client *c, const char *fmt, ...)
{
	char line[ADDRESS_QUOTED_MAX + 200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		return NULL;                  /* cannot be: an address fits */
	(void)client_put(c, line, (size_t)n); /* the reason may be in a reply that came before */
	return get_reply(c, REPLY_MS);
}

/* The exit code of a reply, which is printed if it is a failure. */
static int
client_judge(const char *reply)
{
	int rc = sysexit_of(reply);

	if (rc != EX_OK)
		sysexit_print_reply(reply);
	return rc;
}

/* ---- the envelope ---------------------------------------------------------------------------- */

static int
client_hello(struct client *c)
{
	char name[256] = "";
	int rc = client_judge(get_reply(c, REPLY_MS));

	if (rc != EX_OK)
		return rc;
	c->size = c->eight_bit = c->utf8 = false;
	(void)gethostname(name, sizeof(name) - 1); /* only for the header Received */
	if (!dparse_name(name, strlen(name)))
		snprintf(name, sizeof(name), "localhost");
	return client_judge(client_ask(c, "LHLO %s\r\n", name));
}

static bool
wants_utf8(const struct client_mail *m)
{
	bool utf8 = m->sender->utf8;

	for (size_t i = 0; i < m->n_rcpts; i++)
		utf8 = utf8 || m->rcpts[i].utf8;
	return utf8;
}

static int
mail(struct client *c, const struct client_mail *m)
{
	uint64_t octets = pipein_octets(m->in);
	char quoted[ADDRESS_QUOTED_MAX + 1], size[40] = "";

	if (wants_utf8(m) && !c->utf8) {
		sysexit_print("5.6.7",
			      "the server takes no internationalized addresses (SMTPUTF8)");
		return EX_DATAERR;
	}
	if (c->size && octets != UINT64_MAX)
		snprintf(size, sizeof(size), " SIZE=%llu", (unsigned long long)octets);
	(void)address_quote(m->sender->text, m->sender->n, quoted);
	return client_judge(client_ask(c, "MAIL FROM:<%s>%s%s%s\r\n", quoted, size,
				       c->eight_bit ? " BODY=8BITMIME" : "",
				       wants_utf8(m) ? " SMTPUTF8" : ""));
}

static int
client_recipients(struct client *c, const struct client_mail *m)
{
	char quoted[ADDRESS_QUOTED_MAX + 1];
	int rc = EX_OK;

	for (size_t i = 0; i < m->n_rcpts; i++) {
		const char *reply;

		(void)address_quote(m->rcpts[i].text, m->rcpts[i].n, quoted);
		reply = client_ask(c, "RCPT TO:<%s>\r\n", quoted);
		rc = sysexit_worse(rc, client_judge(reply));
		if (!reply)
			break;
	}
	if (rc != EX_OK && m->n_rcpts > 1)
		sysexit_print(rc == EX_TEMPFAIL ? "4.3.0" : "5.3.0",
			      "nothing was delivered to any of the recipients");
	return rc;
}

/* ---- the message ----------------------------------------------------------------------------- */

/* The server went away, or would not take it. */
static int
broken_off(struct client *c)
{
	if (errno == EINTR) {
		sysexit_print("4.3.0", "ended by a signal; nothing was delivered");
		return EX_TEMPFAIL;
	}
	return client_judge(get_reply(c, 0)); /* its last words, if it had any */
}

static int
client_data(struct client *c, const struct client_mail *m)
{
	struct stuff s = {0};
	char out[2 * PIECE];
	const char *p;
	ssize_t n;

	while ((n = pipein_next(m->in, &p)) > 0) {
		for (size_t at = 0, part; at < (size_t)n; at += part) {
			part = (size_t)n - at < PIECE ? (size_t)n - at : PIECE;
			if (!client_put(c, out, stuff_feed(&s, p + at, part, out)))
				return broken_off(c);
		}
	}
	if (n < 0) {
		sysexit_print("4.3.0", "%s; nothing was delivered",
			      errno == EINTR ? "ended by a signal"
					     : "standard input cannot be read");
		return EX_TEMPFAIL; /* the end is not sent */
	}
	wait_hold_signals();
	return client_put(c, out, stuff_end(&s, out)) ? EX_OK : broken_off(c);
}

/* One reply for each recipient (RFC 2033 section 4.2). */
static int
client_results(struct client *c, const struct client_mail *m)
{
	size_t well = 0;
	int rc = EX_OK;

	for (size_t i = 0; i < m->n_rcpts; i++) {
		const char *reply = get_reply(c, END_MS);
		int one = client_judge(reply);

		well += one == EX_OK;
		rc = sysexit_worse(rc, one);
		if (!reply)
			break;
	}
	if (rc != EX_OK && well > 0)
		sysexit_print(
			rc == EX_TEMPFAIL ? "4.3.0" : "5.3.0",
			"%zu of %zu recipients have it; one recipient for each call avoids this",
			well, m->n_rcpts);
	return rc;
}

int
client_deliver(int fd, const struct client_mail *m)
{
	struct client c = {.fd = fd};
	const char *reply;
	int rc = client_hello(&c);

	if (rc == EX_OK)
		rc = mail(&c, m);
	if (rc == EX_OK)
		rc = client_recipients(&c, m);
	if (rc != EX_OK)
		return rc;
	reply = client_ask(&c, "DATA\r\n");
	rc = client_judge(reply);
	if (rc != EX_OK)
		return rc;
	rc = client_data(&c, m);
	if (rc == EX_OK)
		rc = client_results(&c, m);
	(void)client_put(&c, "QUIT\r\n", 6); /* a courtesy */
	return rc;
}
