/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_wait - connections from a proxy, until its header has named the client. Then the session is
 * made as if that client had connected itself: its address counts for caps, penalties and the log,
 * and the octets after the header - a TLS handshake, or the first command - are still in the socket
 * for it.
 *
 * Threads: proxy_wait_new and proxy_wait_refuse the acceptor; the header is read on workers.
 */
#ifndef RST_NET_PROXY_WAIT_H
#define RST_NET_PROXY_WAIT_H

#include "net/listener.h"

#define PROXY_WAIT_MS 5000 /* a header comes at once, or not */

/* Like a listener's session_new; p is the proxy's address. */
struct task *proxy_wait_new(const struct listener *l, int fd, const struct peer *p);

/* A stranger has connected where only proxies may: logs it. */
void proxy_wait_refuse(const struct listener *l, const struct peer *p);

#endif
