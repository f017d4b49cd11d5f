/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acceptor - the one thread that accepts, watches sockets and deadlines, and feeds the run queue.
 */
#ifndef RST_NET_ACCEPTOR_H
#define RST_NET_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/peer.h"
#include "work/slot.h"

struct conf;

/* Who speaks first on a new connection. */
enum proxy_policy {
	PROXY_OFF,      /* the client */
	PROXY_TRUSTED,  /* a proxy that is believed: its header comes first (net/proxy.h) */
	PROXY_STRANGER, /* only proxies may come here, and this is none */
};

/* One listening socket. Lives until acceptor_stop. */
struct listener {
	int fd;
	char name[64];     /* section name, for logs: "pop3" */
	char address[112]; /* bound address and port, or path, text */
	bool implicit_tls; /* over a cap: closed silently instead of -ERR */
	/*
	 * Acceptor thread, or behind a proxy a worker: makes a session on the accepted socket. The
	 * slot is RUNNING and the caller's; session_new sets its task by slot_take(). It may send a
	 * greeting (never blocks). Returns the task, or NULL: refused, out of memory or slots; then
	 * fd is still the acceptor's to close. The session has called conn_arm; the acceptor then
	 * parks it, or queues it if it was woken meanwhile (a session that wants a turn at once
	 * calls slot_wake on itself) or has `need` set.
	 */
	struct task *(*session_new)(const struct listener *l, int fd, const struct peer *p);
	/* Text sent to one who is turned away, with CRLF; NULL: silent close. */
	const char *busy_text;
	void *ctx; /* session_new's */
	/* Acceptor thread: may this address speak for others? NULL: PROXY_OFF. */
	enum proxy_policy (*proxy_policy)(const struct listener *l, const struct peer *p);
};

struct acceptor_limits {
	uint32_t max_sessions;    /* sockets in total */
	uint32_t max_per_address; /* 0 = no limit */
	/* head of the run queue older than this: accept no more for now */
	int64_t shed_ms;
};

/* Binds and listens: TCP, IPv4 or IPv6 text address ("::" listens on IPv6 only; "*" is not an
 * address). -1: why is in err. SO_REUSEADDR, TCP_NODELAY, SO_SNDBUF, keepalive are set on the
 * listener and inherited. sndbuf 0 = 64 KiB. port 0: any; see listener_port. */
int listener_open(const char *address, uint16_t port, int sndbuf, char *err, size_t errlen);
uint16_t listener_port(int fd);
/* The file of a unix socket. */
struct listener_file {
	const char *path;
	unsigned mode;
	/* root: the service user, who may change the directory; else NULL */
	const char *user;
	const char *owner, *group; /* NULL: the service user's */
};
/* Makes it and listens; before there are threads, since the umask is changed. The directory must
 * be root's, the service user's or the owner's, and nobody else may write to it. A socket that
 * is left from a server that is gone is replaced; one that answers is an error. */
int listener_open_path(const struct listener_file *f, char *err, size_t errlen);
/* The same options and O_NONBLOCK for a listening socket that was inherited. */
void listener_tune(int fd, int sndbuf);

bool acceptor_start(const struct acceptor_limits *limits, struct listener *listeners, size_t n);
/* Reload: new limits and listener contexts (ctx) take effect for new sessions. */
void acceptor_set_limits(const struct acceptor_limits *limits);
/* Called four times a second on the acceptor thread, after deadlines and gates; set before
 * start. */
void acceptor_set_tick(void (*fn)(int64_t now_ms));
/* Called when a gate wants a probe of its module; set before start. */
void acceptor_set_probe(void (*fn)(struct gate *g));
/* Stop accepting; listeners are closed. Sessions live on. Returns when no session can come any
 * more. */
void acceptor_close_listeners(void);
/* After all sessions ended: ends the thread. */
void acceptor_stop(void);

/* A session's socket is closed: the total count, and the peer's, go down. */
void acceptor_left(uint64_t peer_key);
uint32_t acceptor_sessions(void);
/* The epoll set, for conn_arm. */
int acceptor_epoll(void);

/* Counters for status. */
struct acceptor_stats {
	uint64_t accepted, refused_total, refused_address, shed, out_of_files, pressured;
};
void acceptor_get_stats(struct acceptor_stats *ret);

#endif
