/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_seen.h"

#include <pthread.h>
#include <string.h>

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	bool known;
	struct badmail_state s;
	int64_t oldest_ms[2];
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void
badmail_seen_remember(const struct badmail_state *s)
{
	pthread_mutex_lock(&seen.mutex);
	seen.known = true;
	seen.s = *s;
	pthread_mutex_unlock(&seen.mutex);
}

void
badmail_seen_remember_oldest(const int64_t ms[2])
{
	pthread_mutex_lock(&seen.mutex);
	memcpy(seen.oldest_ms, ms, sizeof(seen.oldest_ms));
	pthread_mutex_unlock(&seen.mutex);
}

bool
badmail_seen_get(struct badmail_state *ret, int64_t ret_oldest_ms[2])
{
	bool known;

	pthread_mutex_lock(&seen.mutex);
	known = seen.known;
	*ret = seen.s;
	if (ret_oldest_ms)
		memcpy(ret_oldest_ms, seen.oldest_ms, sizeof(seen.oldest_ms));
	pthread_mutex_unlock(&seen.mutex);
	return known;
}
