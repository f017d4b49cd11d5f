/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "conf.h"
#include "search.h"

struct pool {
	const struct inst *inst;
	pthread_mutex_t mutex;
	bool down[SERVERS_MAX]; /* under mutex, like all below */
	bool retired;           /* nothing is kept open any more */
	size_t n;
	struct pair pairs[];
};

struct pool *
pool_new(const struct inst *inst, uint32_t permits)
{
	/* one more: retire() looks at one at a time without having a permit */
	size_t n = (size_t)permits + 1;
	struct pool *p = calloc(1, sizeof(*p) + n * sizeof(p->pairs[0]));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->mutex, NULL);
	p->inst = inst;
	p->n = n;
	return p;
}

void
pool_free(struct pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		pair_close(&p->pairs[i]);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

/* The first free one: those behind stay idle and are closed. */
struct pair *
pool_take(struct pool *p)
{
	struct pair *free_one = NULL;

	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < p->n && !free_one; i++)
		if (!p->pairs[i].busy)
			free_one = &p->pairs[i];
	if (free_one)
		free_one->busy = true;
	pthread_mutex_unlock(&p->mutex);
	return free_one;
}

void
pool_give(struct pool *p, struct pair *pair)
{
	bool retired;

	pthread_mutex_lock(&p->mutex);
	retired = p->retired;
	pthread_mutex_unlock(&p->mutex);
	if (retired)
		pair_close(pair);
	pthread_mutex_lock(&p->mutex);
	pair->busy = false;
	pthread_mutex_unlock(&p->mutex);
}

void
pair_close(struct pair *pair)
{
	conn_close(&pair->search);
	conn_close(&pair->user);
}

/* One of a pair's connections, to this server, as the service if it is the one for searches. */
static int32_t
ready(struct pair *pair, struct conn *c, const struct ask *a, size_t index, bool service)
{
	const struct settings *s = &a->inst->set;
	struct ask mine = ask_within(a, s->connect_ms);
	int32_t rc;

	if (c->ld && (c->server != &s->servers[index] || !conn_usable(c)))
		conn_close(c);
	if (c->ld) {
		pair->reused = true;
		return PM_OK;
	}
	rc = conn_open(c, &mine, &s->servers[index]);
	if (rc == PM_OK && service)
		rc = conn_bind_service(c, &mine);
	return rc;
}

int32_t
pair_search(struct pair *pair, const struct ask *a, size_t server, struct conn **ret)
{
	*ret = &pair->search;
	return ready(pair, &pair->search, a, server, true);
}

int32_t
pair_user(struct pair *pair, const struct ask *a, size_t server, struct conn **ret)
{
	*ret = &pair->user;
	return ready(pair, &pair->user, a, server, false);
}

static bool
idle_since(const struct conn *c, int64_t before_ms)
{
	return c->ld && (c->used_ms <= before_ms || !conn_usable(c));
}

void
pool_close_idle(struct pool *p, bool all)
{
	int64_t before_ms = all ? INT64_MAX : p->inst->host->now_ms(p->inst->host->ctx) - p->inst->set.idle_ms;

	for (size_t i = 0; i < p->n; i++) {
		struct pair *pair = &p->pairs[i];
		bool mine;

		pthread_mutex_lock(&p->mutex);
		p->retired = p->retired || all;
		mine = !pair->busy;
		pair->busy = true;
		pthread_mutex_unlock(&p->mutex);
		if (!mine)
			continue; /* its call closes it, or uses it */
		if (idle_since(&pair->search, before_ms))
			conn_close(&pair->search);
		if (idle_since(&pair->user, before_ms))
			conn_close(&pair->user);
		pthread_mutex_lock(&p->mutex);
		pair->busy = false;
		pthread_mutex_unlock(&p->mutex);
	}
}

/* ---- servers --------------------------------------------------------------------------------- */

/* Notes it; a change is one line in the log. */
static void
note(struct pool *p, const struct ask *a, size_t server, bool down)
{
	const char *uri = p->inst->set.servers[server].uri;
	size_t up = 0;
	bool changed;

	pthread_mutex_lock(&p->mutex);
	changed = p->down[server] != down;
	p->down[server] = down;
	for (size_t i = 0; i < p->inst->set.n_servers; i++)
		up += !p->down[i];
	pthread_mutex_unlock(&p->mutex);
	if (changed && down)
		sdk_log(p->inst->host, PM_LOG_WARNING, "%s; %zu of %zu servers left", a->why, up,
			p->inst->set.n_servers);
	else if (changed)
		sdk_log(p->inst->host, PM_LOG_NOTICE, "%s: is back", uri);
}

static size_t
order_of(struct pool *p, size_t order[SERVERS_MAX])
{
	size_t n = 0;

	pthread_mutex_lock(&p->mutex);
	for (int down = 0; down < 2; down++)
		for (size_t i = 0; i < p->inst->set.n_servers; i++)
			if (p->down[i] == (down == 1))
				order[n++] = i;
	pthread_mutex_unlock(&p->mutex);
	return n;
}

bool
pool_any_up(struct pool *p)
{
	bool up = false;

	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < p->inst->set.n_servers; i++)
		up = up || !p->down[i];
	pthread_mutex_unlock(&p->mutex);
	return up;
}

/* Once more when a connection that had been idle turned out to be dead: that says nothing about the server. */
static int32_t
attempt_server(struct pair *pair, const struct ask *a, size_t server, attempt_fn attempt, void *ctx)
{
	int32_t rc;

	pair->reused = false;
	rc = attempt(pair, a, server, ctx);
	if (rc != PM_DOWN || !pair->reused)
		return rc;
	pair_close(pair);
	return attempt(pair, a, server, ctx);
}

int32_t
pool_each(struct pool *p, const struct ask *a, attempt_fn attempt, void *ctx)
{
	struct pair *pair = pool_take(p);
	size_t order[SERVERS_MAX], n = order_of(p, order);
	int32_t rc = PM_TIMEOUT;

	if (!pair) {
		ask_error(a, "more calls at once than permits");
		return PM_TEMP;
	}
	for (size_t i = 0; i < n && ask_left(a) > 0; i++) {
		struct ask mine = ask_within(a, ask_left(a) / (int64_t)(n - i));

		rc = attempt_server(pair, &mine, order[i], attempt, ctx);
		if (rc == PM_CANCELLED || rc == PM_NOMEM)
			break; /* tells nothing about the server */
		note(p, &mine, order[i], rc == PM_DOWN || rc == PM_TIMEOUT);
		if (rc != PM_DOWN && rc != PM_TIMEOUT)
			break;
		pair_close(pair);
	}
	pool_give(p, pair);
	return rc;
}

/* The servers that are down; how many. */
static size_t
down_ones(struct pool *p, size_t which[SERVERS_MAX])
{
	size_t n = 0;

	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < p->inst->set.n_servers; i++)
		if (p->down[i])
			which[n++] = i;
	pthread_mutex_unlock(&p->mutex);
	return n;
}

/* On a connection of its own: what logins use is not touched. Each has its share of the time, hung ones too. */
void
pool_revive(struct pool *p, const struct ask *a)
{
	size_t which[SERVERS_MAX], n = down_ones(p, which);

	for (size_t k = 0; k < n && ask_left(a) > 0; k++) {
		struct ask mine = ask_within(a, ask_left(a) / (int64_t)(n - k));
		struct conn c;

		if (conn_open(&c, &mine, &p->inst->set.servers[which[k]]) == PM_OK &&
		    conn_bind_service(&c, &mine) == PM_OK && search_alive(&c, &mine) == PM_OK)
			note(p, &mine, which[k], false);
		conn_close(&c);
	}
}
