/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket - the keys that session tickets are sealed with: one set per process, not per context.
 * Threads: any; one mutex, never held while OpenSSL works.
 */
#ifndef RST_NET_TICKET_H
#define RST_NET_TICKET_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* A ticket is good for this long; a sealing key for half of it. */
#define TICKET_LIFETIME_S 7200

/* Makes ctx seal and open tickets with the keys of the process. False: OpenSSL refused. */
bool ticket_use(SSL_CTX *ctx);

#endif
