/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header is examined in the socket (MSG_PEEK) and taken out when all of it is there, so the
 * session finds the connection as if its client had made it: nothing but the descriptor is handed
 * on. An edge comes with every segment, whatever was left unread.
 */
#include "net/proxy_wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/door.h"
#include "net/proxy.h"
#include "work/slot.h"

struct unproxied {
	struct task task; /* first */
	const struct listener *listener;
	struct conn conn;
	struct peer proxy;
	int64_t until_ms;
};

void
proxy_wait_refuse(const struct listener *l, const struct peer *p)
{
	static struct log_rate rate; /* anybody can cause it */
	uint64_t held;

	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_INFO, "refused",
			"%s: listener %s is for proxies, and this address is not of its proxy_from "
			"(%llu more turned away)",
			p->text, l->name, (unsigned long long)held);
}

/* A configured proxy is not set up right: somebody should hear of it. */
static void
proxy_wait_report(const struct unproxied *g, const char *why)
{
	static struct log_rate rate;
	uint64_t held;

	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "proxy",
			"%s: listener %s: no PROXY header: %s; is send-proxy or send-proxy-v2 set "
			"there? (%llu more since "
			"the last such line)",
			g->proxy.text, g->listener->name, why, (unsigned long long)held);
}

static void
unproxied_close(struct task *t)
{
	struct unproxied *g = (struct unproxied *)t;

	if (g->conn.fd != -1) {
		conn_close(&g->conn);
		door_leave(g->proxy.key);
	}
	free(g);
}

/* ---- the header is there --------------------------------------------------------------------- */

static enum next
proxy_wait_let_in(struct unproxied *g, const struct proxy_header *h)
{
	struct peer p = g->proxy;
	int fd = conn_release(&g->conn);

	if (!h->local) {
		peer_from(&p, &h->from);
		p.tls = h->tls;
	}
	if (h->local || door_exchange(&g->proxy, &p)) {
		(void)door_admit(g->listener, fd, &p, g->listener->session_new);
	} else {
		door_turn_away(g->listener, fd);
		door_leave(g->proxy.key);
	}
	return NEXT_DONE;
}

static enum next
proxy_wait_park(struct unproxied *g)
{
	slot_set_deadline(g->task.slot, g->until_ms);
	return conn_arm(&g->conn, g->task.slot, CONN_WANT_READ) ? NEXT_PARK : NEXT_DONE;
}

static enum next
proxy_wait_look(struct unproxied *g)
{
	char buf[PROXY_MAX];
	struct proxy_header h;
	const char *why = "";
	ssize_t n = conn_peek(&g->conn, buf, sizeof(buf));
	enum proxy_result r;

	if (n == CONN_WANT_READ)
		return proxy_wait_park(g);
	if (n <= 0)
		return NEXT_DONE; /* a check that the port is open; nothing to tell */
	r = proxy_parse(buf, (size_t)n, &h, &why);
	if (r == PROXY_DONE && conn_skip(&g->conn, h.n))
		return proxy_wait_let_in(g, &h);
	if (r == PROXY_MORE && !(slot_peek_note(g->task.slot) & NOTE_HUP))
		return proxy_wait_park(g);
	proxy_wait_report(g, r == PROXY_BAD ? why : "the connection ended within it");
	return NEXT_DONE;
}

static enum next
unproxied_step(struct task *t)
{
	struct unproxied *g = (struct unproxied *)t;
	unsigned note = slot_take_note(t->slot);

	if (note & (NOTE_KICK | NOTE_DRAIN | NOTE_PRESSURE))
		return NEXT_DONE;
	if (mono_ms() >= g->until_ms) {
		proxy_wait_report(g, "none came within 5 s");
		return NEXT_DONE;
	}
	return proxy_wait_look(g);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void
proxy_wait_publish(const struct unproxied *g)
{
	struct slot_record r = {.kind = "proxy", .state = "proxy"};

	snprintf(r.peer, sizeof(r.peer), "%s", g->proxy.text);
	r.peer_key = g->proxy.key;
	r.since_ms = r.last_byte_ms = mono_ms();
	slot_publish(g->task.slot, &r);
}

struct task *
proxy_wait_new(const struct listener *l, int fd, const struct peer *p)
{
	struct unproxied *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->listener = l;
	g->proxy = *p;
	g->until_ms = mono_ms() + PROXY_WAIT_MS;
	g->task.step = unproxied_step;
	g->task.close = unproxied_close;
	g->task.peer_key = p->key;
	conn_init(&g->conn, fd);
	g->task.slot = slot_take(&g->task);
	if (!g->task.slot) {
		free(g);
		return NULL;
	}
	proxy_wait_publish(g);
	if (proxy_wait_park(g) == NEXT_PARK)
		return &g->task;
	slot_retire(g->task.slot);
	slot_release(g->task.slot);
	free(g); /* the descriptor is the acceptor's to close */
	return NULL;
}
