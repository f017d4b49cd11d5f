/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a turn parks it must know whether input can have been left, since the edge that announced
 * it is spent.
 *
 * Plain: a read that took less than it asked for emptied the socket (short_read): a further byte
 * makes a new edge. Except the FIN: data and FIN may come under one edge, and a short read never
 * sees the end. So once NOTE_HUP is there, only WOULDBLOCK or end of file will do.
 *
 * TLS: only OpenSSL's WANT_READ counts. It may hold a whole record, or with read-ahead several,
 * while the socket is empty, and no edge will ever announce those. One call may look at the socket
 * FILLS_MAX times; then OpenSSL is told that it is empty, and the turn that follows reads on.
 *
 * Both: an edge that finds the task QUEUED or GATED is spent, because a turn is to come. So a read
 * counts only if the task has not been in the run queue since (task.pops). A session that yielded
 * after a short read and then parked without another lost the next command, once in some thousands.
 *
 * conn_arm() checks all that itself, so a step that stops reading early loses nothing.
 */
#include "net/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/pollset.h"
#include "net/tls.h"

void
conn_init(struct conn *c, int fd)
{
	*c = (struct conn){.fd = fd, .drained = true}; /* the ADD to come makes the first edge */
}

/* Edges that were spent before this read do not matter any more. */
static void
note_read(struct conn *c)
{
	if (c->slot)
		c->read_at = slot_task(c->slot)->pops;
}

/* ---- plain ----------------------------------------------------------------------------------- */

static ssize_t
plain_read(struct conn *c, void *buf, size_t cap)
{
	ssize_t n;

	do
		n = recv(c->fd, buf, cap, 0);
	while (n == -1 && errno == EINTR);
	c->short_read = n > 0 && (size_t)n < cap;
	c->drained = n <= 0 || c->short_read;
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? CONN_WANT_READ : CONN_FAIL;
}

static ssize_t
plain_write(struct conn *c, const void *buf, size_t n)
{
	ssize_t sent;

	do
		sent = send(c->fd, buf, n, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EWOULDBLOCK ? CONN_WANT_WRITE : CONN_FAIL;
}

ssize_t
conn_peek(struct conn *c, void *buf, size_t cap)
{
	ssize_t n;

	note_read(c);
	do
		n = recv(c->fd, buf, cap, MSG_PEEK);
	while (n == -1 && errno == EINTR);
	c->drained = true; /* octets that stay there are seen again: every segment makes an edge */
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? CONN_WANT_READ : CONN_FAIL;
}

bool
conn_skip(struct conn *c, size_t n)
{
	char buf[512];

	while (n > 0) {
		ssize_t got = recv(c->fd, buf, n < sizeof(buf) ? n : sizeof(buf), 0);

		if (got > 0)
			n -= (size_t)got;
		else if (got == 0 || errno != EINTR)
			return false;
	}
	return true;
}

int
conn_release(struct conn *c)
{
	int fd = c->fd;

	if (c->added)
		(void)pollset_remove(fd); /* it is in there, so this cannot fail */
	c->fd = -1;
	c->added = false;
	return fd;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

/* A read returns with the first octet of data. Records that hold none - key updates, refused
 * renegotiations, empty records - OpenSSL handles in a loop of its own, for as long as the client
 * sends them. A key update costs the client 27 octets and us two derivations and an answer. Two
 * callbacks end that: one counts records, the other is asked before each look at the socket. A
 * client may change its keys in a long transfer: that is one record now and then, although we see
 * them all at once, when the transfer is over. */
#define BARREN_MAX 32
#define BARREN_OCTETS (64u << 10) /* sent, pay for one more record */
/* The largest record is read in two or three fills. */
#define FILLS_MAX 8

static void
on_record(int out, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	struct conn *c = arg;

	(void)version;
	(void)buf;
	(void)len;
	(void)ssl;
	if (out || type != SSL3_RT_HEADER || !c->shaken || conn_is_barren(c))
		return;
	if (c->octets_out - c->barren_paid >= BARREN_OCTETS)
		c->barren_paid += BARREN_OCTETS;
	else
		c->barren++;
}

static long
on_socket(BIO *b, int op, const char *argp, size_t len, int argi, long argl, int rc,
	  size_t *processed)
{
	struct conn *c = (struct conn *)(void *)BIO_get_callback_arg(b);

	(void)argp;
	(void)len;
	(void)argi;
	(void)argl;
	(void)processed;
	if (op != BIO_CB_READ)
		return rc;
	BIO_clear_retry_flags(b);
	if (conn_is_barren(c))
		return -1;
	if (c->fills++ < FILLS_MAX)
		return rc;
	c->cut = true;
	BIO_set_retry_read(b);
	return -1;
}

bool
conn_is_barren(const struct conn *c)
{
	return c->barren > BARREN_MAX + 1; /* the one that is being read may hold data */
}

/* Before each call that reads. */
static void
ssl_begin(struct conn *c)
{
	ERR_clear_error();
	c->short_read = false;
	c->cut = false;
	c->fills = 0;
}

/* The outcome of a call of OpenSSL that did not succeed. */
static int
ssl_outcome(struct conn *c, int rc)
{
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return CONN_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return CONN_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN: /* close_notify, or a FIN without: see tls.c */
		return CONN_EOF;
	default:
		return CONN_FAIL;
	}
}

static ssize_t
ssl_read(struct conn *c, void *buf, size_t cap)
{
	size_t n = 0;
	int rc;

	ssl_begin(c);
	rc = SSL_read_ex(c->ssl, buf, cap, &n);
	c->drained = rc != 1 && !c->cut;
	if (rc == 1) {
		c->barren = 0;
		return (ssize_t)n;
	}
	return conn_is_barren(c) ? CONN_FAIL : ssl_outcome(c, rc);
}

static ssize_t
ssl_write(struct conn *c, const void *buf, size_t n)
{
	size_t sent = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(c->ssl, buf, n, &sent);
	if (rc == 1)
		return (ssize_t)sent;
	rc = ssl_outcome(c, rc);
	return rc == CONN_EOF ? CONN_FAIL : rc;
}

bool
conn_tls(struct conn *c, struct tls *t)
{
	ERR_clear_error();
	c->ssl = SSL_new(tls_ctx(t));
	if (!c->ssl)
		return false;
	if (SSL_set_fd(c->ssl, c->fd) != 1) {
		SSL_free(c->ssl);
		c->ssl = NULL;
		return false;
	}
	SSL_set_msg_callback(c->ssl, on_record);
	SSL_set_msg_callback_arg(c->ssl, c);
	BIO_set_callback_ex(SSL_get_rbio(c->ssl), on_socket);
	BIO_set_callback_arg(SSL_get_rbio(c->ssl), (char *)c);
	SSL_set_accept_state(c->ssl);
	return true;
}

static const char *
handshake_fault(int saved_errno)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	if (!reason)
		reason = saved_errno ? strerrordesc_np(saved_errno)
				     : "the client closed the connection";
	return reason ? reason : "unknown reason";
}

int
conn_handshake(struct conn *c)
{
	int rc, saved_errno;

	note_read(c);
	ssl_begin(c);
	errno = 0;
	rc = SSL_do_handshake(c->ssl);
	saved_errno = errno;
	c->drained = rc != 1 && !c->cut; /* commands may have come with the client's last flight */
	c->shaken = rc == 1;
	if (rc == 1)
		return 1;
	rc = ssl_outcome(c, rc);
	if (rc == CONN_WANT_READ || rc == CONN_WANT_WRITE)
		return rc;
	c->fault = handshake_fault(saved_errno);
	return CONN_FAIL;
}

bool
conn_is_tls13(const struct conn *c)
{
	return c->shaken && SSL_version(c->ssl) >= TLS1_3_VERSION;
}

const char *
conn_tls_version(const struct conn *c)
{
	return c->shaken ? SSL_get_version(c->ssl) : NULL;
}

/* ---- both ------------------------------------------------------------------------------------ */

ssize_t
conn_read(struct conn *c, void *buf, size_t cap)
{
	ssize_t n;

	note_read(c);
	n = c->ssl ? ssl_read(c, buf, cap) : plain_read(c, buf, cap);
	if (n > 0)
		c->octets_in += (uint64_t)n;
	return n;
}

ssize_t
conn_write(struct conn *c, const void *buf, size_t n)
{
	ssize_t sent = c->ssl ? ssl_write(c, buf, n) : plain_write(c, buf, n);

	if (sent > 0)
		c->octets_out += (uint64_t)sent;
	return sent;
}

/* Edges for every event that a turn may have to know of. */
static uint32_t
events_of(bool write)
{
	return EPOLLIN | EPOLLRDHUP | EPOLLET | (write ? EPOLLOUT : 0);
}

/* May there be input that no edge will announce? */
static bool
left_behind(const struct conn *c, const struct slot *s)
{
	return !c->drained || c->read_at != slot_task(s)->pops ||
	       (c->short_read && (slot_peek_note(s) & NOTE_HUP));
}

bool
conn_arm(struct conn *c, const struct slot *s, int want)
{
	bool write = want == CONN_WANT_WRITE;

	if (!c->added) {
		c->slot = s;
		c->read_at = slot_task(s)->pops; /* the first edge is still to come */
		/* set before: the edge may be there before epoll_ctl returns */
		c->added = true;
		c->wants_write = write;
		if (!pollset_add(c->fd, events_of(write), slot_get_token(s)))
			return false;
	} else if (c->wants_write != write) {
		c->wants_write = write;
		if (!pollset_change(c->fd, events_of(write), slot_get_token(s)))
			return false;
	}
	if (!write && left_behind(c, s)) {
		/* once: a turn that leaves the input there on purpose may park */
		c->drained = true;
		c->short_read = false;
		c->read_at = slot_task(s)->pops;
		/* RUNNING -> HIT: never to the queue from here */
		(void)slot_wake(slot_get_token(s), 0);
	}
	return true;
}

void
conn_shutdown(struct conn *c)
{
	if (c->ssl && SSL_is_init_finished(c->ssl)) {
		ERR_clear_error();
		/* close_notify, if there is room; otherwise the FIN has to do */
		(void)SSL_shutdown(c->ssl);
	}
	(void)shutdown(c->fd, SHUT_WR); /* the peer may be gone already */
}

void
conn_close(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->shaken = false;
	if (c->fd != -1)
		(void)close(c->fd); /* nothing was promised */
	c->fd = -1;
	c->added = false;
}
