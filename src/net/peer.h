/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer - client addresses: a text, a key (IPv4 /32, IPv6 /64, mapped IPv4 as IPv4), and counters.
 * Threads: any; 16 shards with a mutex each.
 */
#ifndef RST_NET_PEER_H
#define RST_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct peer {
	char text[48]; /* address and port: 192.0.2.1:4711, [2001:db8::1]:4711 */
	char host[46]; /* address alone */
	bool tls;      /* according to a proxy, the client speaks TLS to it */
	uint64_t key;  /* keyed hash of the /32 or /64; never 0 */
};

void peer_from(struct peer *p, const struct sockaddr_storage *sa);

/* Is p of this network: "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", or "local" (a unix
 * socket)? */
bool peer_in(const struct peer *p, const char *network);
/* Is it such a network? */
bool peer_network_valid(const char *network);

/* Counts one more connection of this key; false: `max` reached (not counted). max 0 = no limit. */
bool peer_enter(uint64_t key, uint32_t max);
void peer_leave(uint64_t key);
/* How many connections of this key are counted. */
uint32_t peer_count(uint64_t key);

#endif
