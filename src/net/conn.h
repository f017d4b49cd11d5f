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
	/* the last plain read took less than it asked for: the socket is empty */
	bool short_read;
	/* no input was left: the last read returned WANT, EOF or FAIL, or was short */
	bool drained;
	const struct slot *slot; /* since it was armed */
	uint32_t read_at;        /* the task's `pops` when it was read last */
	bool shaken;             /* the TLS handshake is over */
	const char *fault;       /* why it failed, in words; NULL: it did not */
	/* OpenSSL wanted to read on within this call, and was stopped */
	bool cut;
	uint8_t fills;        /* how often it has read from the socket in this call */
	uint8_t barren;       /* TLS records since the last one with data, */
	uint64_t barren_paid; /* less one for each 64 KiB sent; octets_out up to here is used up */
	uint64_t octets_in, octets_out; /* as the session sees them, inside TLS */
};

void conn_init(struct conn *c, int fd);

/* > 0 bytes, CONN_EOF, CONN_WANT_..., CONN_FAIL. A read may want a write under TLS and vice versa.
 * A write that returned WANT is repeated with the same bytes, perhaps from another address, perhaps
 * with more after them; never with fewer. TLS writes with write(2): SIGPIPE is ignored in the
 * process. */
ssize_t conn_read(struct conn *c, void *buf, size_t cap);
ssize_t conn_write(struct conn *c, const void *buf, size_t n);

/* The reason for CONN_FAIL: the client sent nothing but TLS records without data (key updates,
 * renegotiations, empty ones), each of which costs us more than it costs the client. */
bool conn_is_barren(const struct conn *c);

/* Plain only. Peek reads as conn_read does, but leaves the octets in the socket for a later read.
 * Skip drops n octets of it; false: they are not there. */
ssize_t conn_peek(struct conn *c, void *buf, size_t cap);
bool conn_skip(struct conn *c, size_t n);
/* Takes the descriptor out of the epoll set and gives it back to the caller. */
int conn_release(struct conn *c);

/* Starts TLS as server; nothing is read yet. False: no memory. */
bool conn_tls(struct conn *c, struct tls *t);
/* 1 done, CONN_WANT_..., CONN_FAIL (c->fault is the reason). */
int conn_handshake(struct conn *c);
/* False: TLS 1.2, plain, or still in the handshake. */
bool conn_is_tls13(const struct conn *c);
/* "TLSv1.3"; NULL: plain, or no version was agreed on. */
const char *conn_tls_version(const struct conn *c);

/*
 * Owner in RUNNING, before step returns NEXT_PARK: makes sure that an edge for `want`
 * (CONN_WANT_READ or CONN_WANT_WRITE) will claim the slot. epoll ADD once, MOD only when the wish
 * to write changes. False: the kernel refused (the session must end).
 *
 * An edge means that input came, not that input is there. With CONN_WANT_READ and input that may
 * have been left - the last read filled its buffer, a TLS record may be half read, the peer has
 * closed and the last read was only short, or the task has been in the run queue or at a gate
 * since, where edges are spent - the task gets one more turn at once instead of being parked. If
 * that turn does not read either (input is held back on purpose: a full output, a penalty), the
 * session is parked; whatever wakes it later must read before it parks again. The same holds for
 * CONN_WANT_WRITE: the turn that finds room goes on to read.
 */
bool conn_arm(struct conn *c, const struct slot *s, int want);

/* close_notify if TLS, then shutdown(SHUT_WR): the client still reads what was sent. */
void conn_shutdown(struct conn *c);
/* Closes the descriptor, frees TLS; removes it from the epoll set by closing. */
void conn_close(struct conn *c);

#endif
