/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t key[2];

void
secret_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}

void
secret_random(void *p, size_t n)
{
	unsigned char *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* a kernel without getrandom: nothing secret can be made */
		}
		to += got;
		n -= (size_t)got;
	}
}

static void
key_draw(void)
{
	secret_random(key, sizeof(key));
}

static uint64_t
secret_rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

/* One SipHash round (Aumasson, Bernstein: SipHash, section 2). */
static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = secret_rotl(v[1], 13) ^ v[0];
	v[0] = secret_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = secret_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = secret_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = secret_rotl(v[1], 17) ^ v[2];
	v[2] = secret_rotl(v[2], 32);
}

uint64_t
secret_hash(const void *p, size_t n)
{
	const unsigned char *in = p;
	uint64_t v[4], last = (uint64_t)n << 56;
	size_t i = 0;

	pthread_once(&key_once, key_draw);
	v[0] = key[0] ^ 0x736f6d6570736575u;
	v[1] = key[1] ^ 0x646f72616e646f6du;
	v[2] = key[0] ^ 0x6c7967656e657261u;
	v[3] = key[1] ^ 0x7465646279746573u;
	for (; i + 8 <= n; i += 8) {
		uint64_t m;

		memcpy(&m, in + i, 8);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	for (unsigned shift = 0; i < n; i++, shift += 8)
		last |= (uint64_t)in[i] << shift;
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int k = 0; k < 4; k++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
