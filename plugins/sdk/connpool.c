/* SPDX-License-Identifier: Apache-2.0 */
#include "connpool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "say.h"

struct sdk_pool {
	const struct pm_host *host;
	void (*close)(void *conn);
	const char *labels[SDK_SERVERS_MAX];
	size_t n_servers;

	pthread_mutex_t mutex;
	bool down[SDK_SERVERS_MAX]; /* under the mutex, as is everything below */
	unsigned era;               /* connections of an older era are not used again */
	bool retired;
	size_t n;
	struct sdk_place places[];
};

struct sdk_pool *
sdk_pool_new(const struct pm_host *host, uint32_t permits, const char *const *labels,
	     size_t n_labels, void (*close)(void *conn))
{
	/* one more place: sweep and retire hold one at a time without a permit */
	size_t n = (size_t)permits + 1;
	static const char *const counters[] = {"connects", "server_failures", NULL};
	struct sdk_pool *p = n_labels <= SDK_SERVERS_MAX
				     ? calloc(1, sizeof(*p) + n * sizeof(p->places[0]))
				     : NULL;

	if (!p)
		return NULL;
	pthread_mutex_init(&p->mutex, NULL);
	p->host = host;
	p->close = close;
	p->n = n;
	p->n_servers = n_labels;
	for (size_t s = 0; s < n_labels; s++)
		p->labels[s] = labels[s];
	sdk_counters(host, counters);
	return p;
}

void
sdk_pool_free(struct sdk_pool *p)
{
	if (!p)
		return;
	for (size_t k = 0; k < p->n; k++)
		sdk_place_close(p, &p->places[k]);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

/* ---- places ---------------------------------------------------------------------------------- */

void
sdk_place_close(struct sdk_pool *p, struct sdk_place *place)
{
	if (place->conn)
		p->close(place->conn);
	place->conn = NULL;
}

struct sdk_place *
sdk_pool_take(struct sdk_pool *p)
{
	struct sdk_place *found = NULL;
	bool old;

	pthread_mutex_lock(&p->mutex);
	for (size_t k = 0; k < p->n; k++) {
		struct sdk_place *one = &p->places[k];

		if (!one->busy && (!found || (one->conn && !found->conn)))
			found = one;
	}
	if (found)
		found->busy = true;
	old = found && (found->era != p->era || (p->n_servers > 1 && p->down[found->server]));
	pthread_mutex_unlock(&p->mutex);
	if (old)
		sdk_place_close(p, found);
	return found;
}

void
sdk_pool_give(struct sdk_pool *p, struct sdk_place *place)
{
	bool retired;

	pthread_mutex_lock(&p->mutex);
	retired = p->retired;
	pthread_mutex_unlock(&p->mutex);
	if (retired)
		sdk_place_close(p, place);
	pthread_mutex_lock(&p->mutex);
	place->busy = false;
	pthread_mutex_unlock(&p->mutex);
}

/* Takes a given place, if it is free. */
static bool
take_if_free(struct sdk_pool *p, struct sdk_place *place)
{
	bool mine;

	pthread_mutex_lock(&p->mutex);
	mine = !place->busy;
	place->busy = true;
	pthread_mutex_unlock(&p->mutex);
	return mine;
}

void
sdk_pool_sweep(struct sdk_pool *p, bool (*idle)(void *conn))
{
	for (size_t k = 0; k < p->n; k++) {
		struct sdk_place *one = &p->places[k];

		if (!take_if_free(p, one))
			continue;
		if (one->conn && idle(one->conn))
			sdk_place_close(p, one);
		sdk_pool_give(p, one);
	}
}

void
sdk_pool_retire(struct sdk_pool *p)
{
	pthread_mutex_lock(&p->mutex);
	p->retired = true;
	pthread_mutex_unlock(&p->mutex);
	for (size_t k = 0; k < p->n; k++)
		if (take_if_free(p, &p->places[k]))
			sdk_pool_give(p, &p->places[k]);
}

/* ---- servers --------------------------------------------------------------------------------- */

void
sdk_pool_note(struct sdk_pool *p, size_t server, bool down, const char *why)
{
	bool was;

	pthread_mutex_lock(&p->mutex);
	was = p->down[server];
	p->down[server] = down;
	if (was && !down)
		p->era++;
	pthread_mutex_unlock(&p->mutex);
	if (down && !was)
		sdk_count(p->host, "server_failures", 1);
	if (down && !was)
		sdk_log(p->host, PM_LOG_ERROR, "server %s does not serve: %s%s", p->labels[server],
			why, p->n_servers > 1 ? "; the others are asked first now" : "");
	else if (was && !down)
		sdk_log(p->host, PM_LOG_NOTICE, "server %s serves again", p->labels[server]);
}

bool
sdk_pool_any_up(struct sdk_pool *p)
{
	bool up = false;

	pthread_mutex_lock(&p->mutex);
	for (size_t s = 0; s < p->n_servers; s++)
		up = up || !p->down[s];
	pthread_mutex_unlock(&p->mutex);
	return up;
}

/* Lists the servers, except those of the mask, in the order in which they are tried; returns how
 * many. */
static size_t
order_of(struct sdk_pool *p, uint32_t not, size_t order[SDK_SERVERS_MAX], size_t *ret_up)
{
	size_t n = 0;

	pthread_mutex_lock(&p->mutex);
	for (int down = 0; down < 2; down++) {
		for (size_t s = 0; s < p->n_servers; s++)
			if (!(not &(1u << s)) && p->down[s] == (down == 1))
				order[n++] = s;
		if (!down)
			*ret_up = n;
	}
	pthread_mutex_unlock(&p->mutex);
	return n;
}

static int64_t
connpool_share(const struct sdk_pool *p, int64_t deadline_ms, size_t n)
{
	int64_t now = p->host->now_ms(p->host->ctx);

	return now >= deadline_ms ? 0 : now + (deadline_ms - now + (int64_t)n - 1) / (int64_t)n;
}

int32_t
sdk_pool_connect(struct sdk_pool *p, struct sdk_place *place, uint32_t not, int64_t deadline_ms,
		 sdk_connect_fn connect, void *ctx, char *why)
{
	size_t order[SDK_SERVERS_MAX], up, n = order_of(p, not, order, &up);
	int32_t rc = PM_TIMEOUT;

	snprintf(why, SDK_WHY_MAX, "no time left to connect");
	for (size_t k = 0; k < n; k++) {
		int64_t until = connpool_share(p, deadline_ms, n - k);

		if (until == 0)
			break;
		place->conn = NULL;
		rc = connect(ctx, order[k], until, &place->conn, why);
		if (rc == PM_NOMEM || rc == PM_CANCELLED)
			break;
		sdk_pool_note(p, order[k], rc != PM_OK, why);
		if (rc != PM_OK)
			continue;
		sdk_count(p->host, "connects", 1);
		place->server = order[k];
		pthread_mutex_lock(&p->mutex);
		place->era = p->era;
		pthread_mutex_unlock(&p->mutex);
		break;
	}
	return rc;
}

void
sdk_pool_revive(struct sdk_pool *p, int64_t deadline_ms, sdk_connect_fn connect, void *ctx)
{
	size_t order[SDK_SERVERS_MAX], up, n = order_of(p, 0, order, &up);

	for (size_t k = up; k < n; k++) {
		int64_t until = connpool_share(p, deadline_ms, n - k);
		char why[SDK_WHY_MAX];
		void *conn = NULL;

		if (until == 0 || connect(ctx, order[k], until, &conn, why) != PM_OK)
			continue;
		p->close(conn);
		sdk_pool_note(p, order[k], false, "");
	}
}
