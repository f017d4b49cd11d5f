/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - a client's socket, plain or TLS, never blocking. Owned by the session's owner.
 */
#ifndef RST_NET_CONN_H
#define RST_NET_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "work/slot.h"

#define CONN_EOF 0
#define CONN_WANT_READ (-1)
#define CONN_WANT_WRITE (-2)
#define CONN_FAIL (-3)

struct tls; /* net/tls.h */

struct conn {
	int fd;
	SSL *ssl;         /* NULL: plain */
	bool added;       /* to the epoll set */
	bool wants_write; /* EPOLLOUT armed */
	/* the last plain read took less than asked: nothing more is there */
	bool short_read;
	/* no input was left behind: the last read said WANT, EOF or FAIL, or was short */
	bool drained;
	const struct slot *slot; /* since it was armed */
	uint32_t read_at;        /* the task's `pops` when it was read last */
	bool shaken;             /* the TLS handshake is over */
	/* OpenSSL wanted to read on within this call, and was not let */
	bool cut;
	uint8_t fills;                  /* how often it has read from the socket in this call */
	uint8_t barren;                 /* TLS records since the last that held data, */
	uint64_t barren_paid;           /* less those that octets_out has paid for, up to here */
	uint64_t octets_in, octets_out; /* as the session sees them, inside TLS */
};

void conn_init(struct conn *c, int fd);

/* > 0 bytes, CONN_EOF, CONN_WANT_..., CONN_FAIL. A read may want a write under TLS and vice
 * versa. A write that said WANT is repeated with the same bytes, perhaps elsewhere, perhaps with
 * more behind them; never with fewer. TLS writes with write(2): SIGPIPE is ignored in the
 * process. */
ssize_t conn_read(struct conn *c, void *buf, size_t cap);
ssize_t conn_write(struct conn *c, const void *buf, size_t n);

/* Why CONN_FAIL: the client sent nothing but TLS records without data (key updates,
 * renegotiations, empty ones), each of which costs us more than it costs the client. */
bool conn_is_barren(const struct conn *c);

/* Plain: what has come, left in the socket for a later read; as conn_read. And n octets of it
 * thrown away; false: they are not there. */
ssize_t conn_peek(struct conn *c, void *buf, size_t cap);
bool conn_skip(struct conn *c, size_t n);
/* Takes the descriptor out of the epoll set and gives it back to the caller. */
int conn_release(struct conn *c);

/* Starts TLS as server; nothing is read yet. False: no memory. */
bool conn_tls(struct conn *c, struct tls *t);
/* 1 done, CONN_WANT_..., CONN_FAIL (the reason is logged at info, once). */
int conn_handshake(struct conn *c);
/* False: TLS 1.2, or plain. */
bool conn_is_tls13(const struct conn *c);
/* "TLSv1.3", or NULL when plain. */
const char *conn_tls_version(const struct conn *c);

/*
 * Owner in RUNNING, before step returns NEXT_PARK: makes sure that an edge for `want`
 * (CONN_WANT_READ or CONN_WANT_WRITE) will claim the slot. epoll ADD once, MOD only when the wish
 * to write changes. False: the kernel refused (the session must end).
 *
 * Edges say that something came, not that something is there. With CONN_WANT_READ and input that
 * may have been left behind - the last read filled its buffer, a TLS record may be half read, the
 * peer has closed and the last read was only short, or the task has been in the run queue or at a
 * gate since, where edges are spent - the task gets one more turn at once instead of being parked.
 * If that turn does not read either (input is held back on purpose: a full output, a penalty), the
 * session is parked; whatever wakes it later must read before it parks again. The same holds for
 * CONN_WANT_WRITE: the turn that finds room goes on to read.
 */
bool conn_arm(struct conn *c, const struct slot *s, int want);

/* close_notify if TLS, then shutdown(SHUT_WR): the client still reads what was sent. */
void conn_shutdown(struct conn *c);
/* Closes the descriptor, frees TLS; removes it from the epoll set by closing. */
void conn_close(struct conn *c);

#endif
