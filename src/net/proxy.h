/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy - the header by which a proxy tells for which client it speaks: PROXY protocol versions 1
 * and 2, as HAProxy's doc/proxy-protocol.txt describes them. Pure.
 */
#ifndef RST_NET_PROXY_H
#define RST_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define PROXY_MAX 4096 /* octets of a header; a longer one is refused */

enum proxy_result {
	PROXY_MORE, /* the beginning of a header */
	PROXY_DONE,
	PROXY_BAD, /* not a header, found at the first octet that shows it */
};

struct proxy_header {
	size_t n; /* octets it takes */
	/* no client: a health check (LOCAL), or one without a name (UNKNOWN, UNSPEC, UNIX): the
	 * connection's own address counts */
	bool local;
	struct sockaddr_storage from; /* of the client, unless local */
	struct sockaddr_storage to;   /* where it connected to */
	bool tls;                     /* version 2: the client speaks TLS to the proxy */
	char authority[256];          /* version 2: the name it asked for, or ""; not checked */
};

/* n octets at p, from the start of the connection. *ret_why with PROXY_BAD: for the log. */
enum proxy_result proxy_parse(const void *p, size_t n, struct proxy_header *ret,
			      const char **ret_why);

#endif
