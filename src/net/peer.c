/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/secret.h"

#define SHARDS 16
#define BUCKETS 256 /* per shard */

struct counter {
	struct counter *next;
	uint64_t key;
	uint32_t n; /* at least 1 */
};

struct shard {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct counter *buckets[BUCKETS];
};

static struct shard shards[SHARDS] = {
	[0 ... SHARDS - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER},
};

/* ---- from address to key --------------------------------------------------------------------- */

static uint64_t
key_of(char family, const void *p, size_t n)
{
	unsigned char buf[1 + sizeof(struct in6_addr)];
	uint64_t key;

	buf[0] = (unsigned char)family;
	memcpy(buf + 1, p, n);
	key = secret_hash(buf, 1 + n);
	return key != 0 ? key : 1;
}

static void
from_v4(struct peer *p, const struct in_addr *a, uint16_t port)
{
	if (!inet_ntop(AF_INET, a, p->host, sizeof(p->host)))
		p->host[0] = '\0';
	snprintf(p->text, sizeof(p->text), "%.15s:%u", p->host, (unsigned)ntohs(port));
	p->key = key_of('4', a, sizeof(*a));
}

static void
from_v6(struct peer *p, const struct in6_addr *a, uint16_t port)
{
	if (IN6_IS_ADDR_V4MAPPED(a)) {
		struct in_addr v4;

		memcpy(&v4, &a->s6_addr[12], sizeof(v4));
		from_v4(p, &v4, port);
		return;
	}
	if (!inet_ntop(AF_INET6, a, p->host, sizeof(p->host)))
		p->host[0] = '\0';
	snprintf(p->text, sizeof(p->text), "[%.39s]:%u", p->host, (unsigned)ntohs(port));
	p->key = key_of('6', a, 8); /* one customer usually has a whole /64 */
}

void
peer_from(struct peer *p, const struct sockaddr_storage *sa)
{
	memset(p, 0, sizeof(*p));
	switch (sa->ss_family) {
	case AF_INET: {
		const struct sockaddr_in *in = (const void *)sa;

		from_v4(p, &in->sin_addr, in->sin_port);
		break;
	}
	case AF_INET6: {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		from_v6(p, &in6->sin6_addr, in6->sin6_port);
		break;
	}
	default: /* a socket inherited from the service manager */
		snprintf(p->host, sizeof(p->host), "local");
		snprintf(p->text, sizeof(p->text), "local");
		p->key = key_of('l', "", 0);
		break;
	}
}

/* ---- networks -------------------------------------------------------------------------------- */

struct network {
	int family;
	unsigned char addr[16];
	unsigned bits;
};

static bool
network_read(const char *text, struct network *ret)
{
	char addr[64];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned max;
	uint64_t bits;

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	ret->family = strchr(addr, ':') ? AF_INET6 : AF_INET;
	max = ret->family == AF_INET6 ? 128 : 32;
	bits = max;
	if (slash && !num_parse(slash + 1, strlen(slash + 1), max, &bits))
		return false;
	ret->bits = (unsigned)bits;
	return inet_pton(ret->family, addr, ret->addr) == 1;
}

bool
peer_network_valid(const char *network)
{
	struct network n;

	return strcmp(network, "local") == 0 || network_read(network, &n);
}

bool
peer_in(const struct peer *p, const char *network)
{
	unsigned char addr[16], mask;
	struct network n;

	if (strcmp(network, "local") == 0 || strcmp(p->host, "local") == 0)
		return strcmp(p->host, network) == 0;
	if (!network_read(network, &n) ||
	    (n.family == AF_INET6) != (strchr(p->host, ':') != NULL) ||
	    inet_pton(n.family, p->host, addr) != 1 || memcmp(addr, n.addr, n.bits / 8) != 0)
		return false;
	mask = (unsigned char)(0xff00 >> n.bits % 8);
	return n.bits % 8 == 0 || ((addr[n.bits / 8] ^ n.addr[n.bits / 8]) & mask) == 0;
}

/* ---- counting -------------------------------------------------------------------------------- */

static struct shard *
peer_shard_of(uint64_t key)
{
	return &shards[key % SHARDS];
}

/* Under the mutex: the link that points to the counter, or to the NULL after the last. */
static struct counter **
counter_find(struct shard *s, uint64_t key)
{
	struct counter **at = &s->buckets[key / SHARDS % BUCKETS];

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

bool
peer_enter(uint64_t key, uint32_t max)
{
	struct shard *s = peer_shard_of(key);
	struct counter **at;
	bool ok = false;

	pthread_mutex_lock(&s->mutex);
	at = counter_find(s, key);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (*at)
			(*at)->key = key;
	}
	if (*at && (max == 0 || (*at)->n < max)) {
		(*at)->n++;
		ok = true;
	}
	pthread_mutex_unlock(&s->mutex);
	return ok;
}

void
peer_leave(uint64_t key)
{
	struct shard *s = peer_shard_of(key);
	struct counter **at, *gone = NULL;

	pthread_mutex_lock(&s->mutex);
	at = counter_find(s, key);
	if (*at && --(*at)->n == 0) {
		gone = *at;
		*at = gone->next;
	}
	pthread_mutex_unlock(&s->mutex);
	free(gone);
}

uint32_t
peer_count(uint64_t key)
{
	struct shard *s = peer_shard_of(key);
	struct counter **at;
	uint32_t n;

	pthread_mutex_lock(&s->mutex);
	at = counter_find(s, key);
	n = *at ? (*at)->n : 0;
	pthread_mutex_unlock(&s->mutex);
	return n;
}
