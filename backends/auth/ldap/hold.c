/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include <string.h>
#include <time.h>

#define MINUTE_MS 60000

void
hold_init(struct hold *h)
{
	pthread_condattr_t attr;

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->ended, &attr);
	pthread_condattr_destroy(&attr);
}

void
hold_fini(struct hold *h)
{
	pthread_cond_destroy(&h->ended);
	pthread_mutex_destroy(&h->mutex);
}

static struct timespec
hold_deadline(int64_t ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

bool
hold_begin(struct hold *h, size_t server, int64_t now_ms, int64_t until_ms, int64_t *ret_wait_ms)
{
	struct hold_server *s = &h->of[server];
	struct timespec until = hold_deadline(until_ms > now_ms ? until_ms - now_ms : 0);
	bool may;

	pthread_mutex_lock(&h->mutex);
	while (s->trying && !s->good && pthread_cond_timedwait(&h->ended, &h->mutex, &until) == 0)
		;
	may = now_ms >= s->until_ms;
	*ret_wait_ms = may ? 0 : s->until_ms - now_ms;
	if (may)
		s->trying = true;
	pthread_mutex_unlock(&h->mutex);
	return may;
}

int64_t
hold_end(struct hold *h, size_t server, size_t n_servers, enum hold_end how, int64_t now_ms)
{
	static const unsigned minutes[] = {1, 5, 15};
	struct hold_server *s = &h->of[server];
	int64_t ms = 0;

	pthread_mutex_lock(&h->mutex);
	s->trying = false;
	s->good = how == HOLD_GOOD || (how == HOLD_FAILED && s->good);
	if (how == HOLD_GOOD)
		s->until_ms = s->refusals = 0;
	if (how == HOLD_REFUSED && now_ms < s->until_ms) {
		ms = s->until_ms - now_ms; /* of several at once: one refusal */
	} else if (how == HOLD_REFUSED) {
		ms = (int64_t)minutes[s->refusals < 2 ? s->refusals : 2] * MINUTE_MS *
		     (int64_t)n_servers;
		s->until_ms = now_ms + ms;
		s->refusals++;
	}
	pthread_cond_broadcast(&h->ended);
	pthread_mutex_unlock(&h->mutex);
	return ms;
}

void
hold_clear(struct hold *h)
{
	pthread_mutex_lock(&h->mutex);
	for (size_t i = 0; i < SERVERS_MAX; i++) {
		h->of[i].until_ms = 0;
		h->of[i].refusals = 0;
	}
	pthread_mutex_unlock(&h->mutex);
}
