/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "hold.h"
#include "say.h"
#include "search.h"

/* ---- pairs ----------------------------------------------------------------------------------- */

static void
pair_free(void *conn)
{
	struct pair *pair = conn;

	conn_close(&pair->search);
	conn_close(&pair->user);
	free(pair);
}

static int64_t
pool_now_ms(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

/* After the end of a try: how long until the next one? */
static int32_t
pool_tried(const struct pair *pair, const struct ask *a, int32_t rc, bool refused)
{
	const struct settings *s = &a->inst->set;
	char why[PM_ERROR_MAX + 1];
	int64_t ms = hold_end(a->inst->hold, (size_t)(pair->server - s->servers), s->n_servers,
			      rc == PM_OK ? HOLD_GOOD
			      : refused   ? HOLD_REFUSED
					  : HOLD_FAILED,
			      pool_now_ms(a->inst));

	if (!refused)
		return rc;
	snprintf(why, sizeof(why), "%s", a->why);
	sdk_log(a->inst->host, PM_LOG_ERROR,
		"%s; so that the directory does not lock that account the next try is in %d "
		"minutes, or at a reload",
		why, (int)(ms / 60000));
	return rc;
}

/* Connected, and bound as the service. */
static int32_t
pool_connect_service(struct pair *pair, struct conn *c, const struct ask *a)
{
	const struct settings *s = &a->inst->set;
	bool refused = false;
	int64_t wait_ms;
	int32_t rc;

	if (!hold_begin(a->inst->hold, (size_t)(pair->server - s->servers), pool_now_ms(a->inst),
			a->until_ms, &wait_ms)) {
		ask_error(a,
			  "%s: it refused bind_dn and bind_password; they are tried again in %d "
			  "s, or at a reload",
			  pair->server->uri, (int)(wait_ms / 1000) + 1);
		return PM_DOWN;
	}
	rc = conn_open(c, a, pair->server);
	if (rc == PM_OK)
		rc = conn_bind_service(c, a, &refused);
	return pool_tried(pair, a, rc, refused);
}

static int32_t
pool_ready(struct pair *pair, struct conn *c, const struct ask *a, bool service)
{
	struct ask mine = ask_within(a, a->inst->set.connect_ms);

	if (c->ld && !conn_usable(c))
		conn_close(c);
	if (c->ld)
		return PM_OK;
	if (service && (a->inst->set.bind_dn || a->inst->set.bind_external))
		return pool_connect_service(pair, c, &mine);
	return conn_open(c, &mine, pair->server);
}

int32_t
pair_search(struct pair *pair, const struct ask *a, struct conn **ret)
{
	*ret = &pair->search;
	return pool_ready(pair, &pair->search, a, true);
}

int32_t
pair_user(struct pair *pair, const struct ask *a, struct conn **ret)
{
	*ret = &pair->user;
	return pool_ready(pair, &pair->user, a, false);
}

/*
 * The connection a login begins with. That the kernel took it says nothing: a server is up when it
 * has answered, to the service's bind, or else to a question that needs no bind.
 */
static int32_t
pair_begin(struct pair *pair, const struct ask *a)
{
	const struct settings *s = &a->inst->set;
	bool service = s->bind_dn || s->bind_external;
	struct conn *c;
	int32_t rc = s->user_dn && !service ? pair_user(pair, a, &c) : pair_search(pair, a, &c);

	return rc == PM_OK && !service ? search_alive(c, a) : rc;
}

/* sdk_connect_fn; ctx is the ask, and what failed was said to it. */
static int32_t
pool_connect_to(void *ctx, size_t server, int64_t until_ms, void **ret, char *why)
{
	struct ask mine = *(const struct ask *)ctx;
	struct pair *pair = calloc(1, sizeof(*pair));
	int32_t rc;

	if (!pair)
		return PM_NOMEM;
	pair->inst = mine.inst;
	pair->server = &mine.inst->set.servers[server];
	mine.until_ms = until_ms;
	rc = pair_begin(pair, &mine);
	if (rc == PM_OK)
		*ret = pair;
	else
		pair_free(pair);
	snprintf(why, SDK_WHY_MAX, "%s", mine.why);
	return rc;
}

struct sdk_pool *
pool_new(const struct inst *inst, uint32_t permits)
{
	const char *labels[SERVERS_MAX];

	for (size_t i = 0; i < inst->set.n_servers; i++)
		labels[i] = inst->set.servers[i].uri;
	return sdk_pool_new(inst->host, permits, labels, inst->set.n_servers, pair_free);
}

/* ---- logins ---------------------------------------------------------------------------------- */

static unsigned
count_of(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

/* One server's turn, with its share of the time. PM_AGAIN: the next one. */
static int32_t
pool_turn(struct sdk_place *at, const struct ask *a, uint32_t * not, attempt_fn attempt, void *ctx,
	  int32_t *ret)
{
	struct sdk_pool *p = a->inst->pool;
	size_t n = a->inst->set.n_servers;
	bool reused = at->conn != NULL;
	char why[SDK_WHY_MAX];
	struct ask mine;

	if (!reused) {
		*ret = sdk_pool_connect(p, at, *not, a->until_ms, pool_connect_to,
					(void *)(uintptr_t)a, why);
		if (*ret != PM_OK)
			return *ret;
	}
	mine = ask_within(a, ask_left(a) / (int64_t)(n - count_of(*not )));
	*ret = attempt(at->conn, &mine, ctx);
	if (*ret != PM_DOWN && *ret != PM_TIMEOUT)
		return *ret;
	/* that an idle connection turned out to be dead says nothing about the server */
	if (*ret == PM_TIMEOUT || !reused) {
		sdk_pool_note(p, at->server, true, mine.why);
		*not |= 1u << at->server;
	}
	sdk_place_close(p, at);
	return ask_left(a) > 0 && count_of(*not ) < n ? PM_AGAIN : *ret;
}

int32_t
pool_each(const struct ask *a, attempt_fn attempt, void *ctx)
{
	struct sdk_place *at = sdk_pool_take(a->inst->pool);
	int32_t rc = PM_TIMEOUT;
	uint32_t not = 0;

	if (!at) {
		ask_error(a, "more calls at once than permits");
		return PM_TEMP;
	}
	while (pool_turn(at, a, &not, attempt, ctx, &rc) == PM_AGAIN)
		;
	sdk_pool_give(a->inst->pool, at);
	return rc;
}

/* ---- between logins -------------------------------------------------------------------------- */

static void
close_idle(struct conn *c, int64_t before_ms)
{
	if (c->ld && (c->used_ms <= before_ms || !conn_usable(c)))
		conn_close(c);
}

/* Closes of a pair what is idle; is all of it? */
static bool
pair_idle(void *conn)
{
	struct pair *pair = conn;
	const struct pm_host *h = pair->inst->host;
	int64_t before_ms = h->now_ms(h->ctx) - pair->inst->set.idle_ms;

	close_idle(&pair->search, before_ms);
	close_idle(&pair->user, before_ms);
	return !pair->search.ld && !pair->user.ld;
}

void
pool_tend(const struct ask *a)
{
	sdk_pool_sweep(a->inst->pool, pair_idle);
	sdk_pool_revive(a->inst->pool, a->until_ms, pool_connect_to, (void *)(uintptr_t)a);
}
