/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mariadb - connections to MySQL and MariaDB by MariaDB Connector/C that keep deadlines and never
 * fall back to plain text. For modules that link the library; statements are the module's own,
 * between sdk_my_begin and sdk_my_end.
 *
 * The library's own time-outs are whole seconds and count for each read(); its hook for waiting
 * (MARIADB_OPT_IO_WAIT) is not called under TLS, handshake included (measured, 3.3.20). So a thread
 * shuts the socket down when the time is over (watch.h); the hook shows which socket that is while
 * a connection is made. Name resolution is not covered: use addresses, or a resolver on this
 * machine.
 *
 * TLS: SSL_ENFORCE alone, even with a CA, falls back to plain text when the server has no TLS; only
 * together with SSL_VERIFY_SERVER_CERT it does not (measured, 3.3.20). The cipher is checked as
 * well.
 *
 * Threads: a connection is used by one thread at a time, not always the same.
 */
#ifndef SDK_MARIADB_H
#define SDK_MARIADB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "server.h"
#include "watch.h"

struct st_mysql; /* MYSQL */
struct sdk_my;

/* How to connect: the same for all servers of an instance. */
struct sdk_my_access {
	const struct pm_host *host;
	struct sdk_watch *watch;
	const char *database, *user, *password;
	bool tls;           /* not for unix sockets */
	const char *tls_ca; /* needed with tls */
	uint64_t flags;     /* CLIENT_... */
	size_t packet_max;  /* bytes */
};

/* Main, once per process. */
int32_t sdk_my_global_init(void);

/* Connects by until_ms. PM_OK, PM_DOWN, PM_TIMEOUT, PM_NOMEM; why (cap bytes): for the operator,
 * without secrets. */
int32_t sdk_my_connect(const struct sdk_my_access *a, const struct sdk_server *s, int64_t until_ms,
		       struct sdk_my **ret, char *why, size_t cap);
/* Closes a connection; takes at most a moment, whatever the server does. Statements are closed
 * before, between begin and end. */
void sdk_my_close(struct sdk_my *c);
struct st_mysql *sdk_my_handle(struct sdk_my *c);
/* True if an idle connection was closed by the server or has something to say. Does not wait. */
bool sdk_my_stale(struct sdk_my *c);

/* From now on the library does not block longer than until_ms. false: no memory, no descriptor, or
 * no connection. */
bool sdk_my_begin(struct sdk_my *c, int64_t until_ms);
/* false: the time was over, and the connection may have been shut down although an answer had come:
 * close it. */
bool sdk_my_end(struct sdk_my *c);

/* True if this error code (mysql_errno) means that the connection is useless. Then it is not known
 * whether the statement was carried out. */
bool sdk_my_lost(unsigned code);

#endif
