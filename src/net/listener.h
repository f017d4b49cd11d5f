/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener - a listening socket, and the options its connections inherit.
 */
#ifndef RST_NET_LISTENER_H
#define RST_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/peer.h"

struct task;

/* Which side sends the first octets on a new connection. */
enum proxy_policy {
	PROXY_OFF,      /* the client */
	PROXY_TRUSTED,  /* a trusted proxy: its header comes first (net/proxy.h) */
	PROXY_STRANGER, /* only proxies may connect here, and this is none */
};

/* Lives until acceptor_stop. */
struct listener {
	int fd;
	char name[64];     /* section name, for logs: "pop3" */
	char address[112]; /* bound address and port, or path, text */
	bool implicit_tls; /* over a cap: closed silently instead of -ERR */
	/*
	 * Acceptor thread, or a worker for a proxy's client: makes a session on the accepted
	 * socket. The slot is RUNNING and the caller's; session_new sets its task by slot_take().
	 * It may send a greeting (never blocks). Returns the task, or NULL: refused, out of memory
	 * or slots; then fd is still the caller's to close. The session has called conn_arm; the
	 * caller then parks it, or queues it if it was woken meanwhile (a session that wants a turn
	 * at once calls slot_wake on itself) or has `need` set.
	 */
	struct task *(*session_new)(const struct listener *l, int fd, const struct peer *p);
	/* Sent to a client that is turned away, with CRLF; NULL: silent close. */
	const char *busy_text;
	/* Acceptor thread: may this address speak for others? NULL: PROXY_OFF. */
	enum proxy_policy (*proxy_policy)(const struct listener *l, const struct peer *p);
};

/* Binds and listens: TCP, IPv4 or IPv6 text address ("::" listens on IPv6 only; "*" is not an
 * address). -1: the reason is in err. SO_REUSEADDR, TCP_NODELAY, SO_SNDBUF, keepalive are set on
 * the listener and inherited. sndbuf 0 = 64 KiB. port 0: any; see listener_port. */
int listener_open(const char *address, uint16_t port, int sndbuf, char *err, size_t errlen);
uint16_t listener_port(int fd);
/* The same options and O_NONBLOCK for a listening socket that was inherited. */
void listener_tune(int fd, int sndbuf);

#endif
