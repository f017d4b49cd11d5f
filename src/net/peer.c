/* SPDX-License-Identifier: Apache-2.0 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- counting -------------------------------------------------------------------------------- */

static struct shard *
shard_of(uint64_t key)
{
	return &shards[key % SHARDS];
}

/* Under the mutex: the link that points to the counter, or to the NULL behind the last. */
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
	struct shard *s = shard_of(key);
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
	struct shard *s = shard_of(key);
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
	struct shard *s = shard_of(key);
	struct counter **at;
	uint32_t n;

	pthread_mutex_lock(&s->mutex);
	at = counter_find(s, key);
	n = *at ? (*at)->n : 0;
	pthread_mutex_unlock(&s->mutex);
	return n;
}
