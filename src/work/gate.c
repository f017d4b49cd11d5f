/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gates: who may be inside a module.
 *
 * A module call may block until its deadline, and a blocked thread cannot be taken back. So a section
 * has `permits`, and a task that finds none is not waited for by its worker: it is put on one of
 * three lines and belongs to the gate until a permit comes back.
 *
 *   GIVE_BACK  must happen (a lock goes home, a commit): never refused, never kicked
 *   CONTINUE   a download under way: never refused, waits as long as it said itself
 *   BEGIN      everything else: bounded line, bounded wait, bounded share per address, breaker
 *
 * A permit that comes back goes to the head of the first line that has one, directly: in_use and the
 * global count do not move, so nobody can slip in between.
 *
 * The global count keeps all gates together below workers - reserve. The configuration is checked
 * so that the permits alone already do that; while a reload has old and new gates at once, or a
 * smaller number of permits has not come into effect, only the count does. A task it holds back waits
 * like any other; `starved` remembers that there is one, and the next permit given back anywhere, or
 * the tick, goes round the gates. One gate's mutex at a time: leaving A unlocks A before it looks at
 * B.
 *
 * The breaker counts failures of the backend in a row (DOWN, TIMEOUT; a broken mailbox is neither),
 * and opens only if two different accounts saw them. While it is open BEGIN is refused at once, also
 * those who wait already. Then one probe: the prober's errand passes, all others are still refused.
 * Its success closes the breaker. A probe that never answers is sent again after the same time.
 */
#include "work/gate.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/queue.h"
#include "work/slot.h"

#define CLASSES 3
/* An address may hold this part of the BEGIN places. */
#define SHARE 4

enum breaker { CLOSED, OPEN, HALF_OPEN };

struct chain {
	struct task *head, *tail;
};

struct line {
	struct task *head, *tail;
	uint32_t n;
};

struct gate {
	struct gate *next; /* never changes */
	char name[GATE_NAME_MAX];
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct gate_limits limits;
	uint32_t in_use;
	struct line lines[CLASSES];
	enum breaker breaker;
	uint32_t in_a_row;   /* failures */
	uint64_t first_key;  /* of the first of them */
	bool two_keys;       /* another key failed since */
	int64_t until_ms;    /* OPEN, HALF_OPEN: the next probe */
	uint64_t calls, refused, timeouts, failures, trips, overdue, busy_ms, slowest_ms;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER; /* adding and looking up */
static _Atomic(struct gate *) gates;

static struct {
	_Atomic uint32_t inside;
	_Atomic uint32_t max;
	_Atomic bool starved; /* a permit was free, but not the count */
} all = {.max = UINT32_MAX};

void
gate_init_global(uint32_t workers, uint32_t reserve)
{
	atomic_store(&all.max, workers > reserve ? workers - reserve : 1);
}

/* ---- chains and lines ------------------------------------------------------------------------ */

static void
chain_add(struct chain *c, struct task *t)
{
	t->link = NULL;
	if (c->tail)
		c->tail->link = t;
	else
		c->head = t;
	c->tail = t;
}

/* Without any lock: they go to the run queue. */
static void
chain_push(struct chain *c)
{
	if (c->head)
		queue_push_batch(c->head, c->tail);
}

static void
line_add(struct line *l, struct task *t)
{
	t->link = NULL;
	if (l->tail)
		l->tail->link = t;
	else
		l->head = t;
	l->tail = t;
	l->n++;
}

/* before: the task in front of t, NULL when t is the head. */
static void
line_remove(struct line *l, struct task *before, struct task *t)
{
	if (before)
		before->link = t->link;
	else
		l->head = t->link;
	if (l->tail == t)
		l->tail = before;
	l->n--;
}

/* Under the mutex: t leaves the gate with a verdict. */
static void
let_go(struct task *t, enum verdict v, struct chain *out)
{
	t->verdict = (uint8_t)v;
	slot_set_queued(t->slot);
	chain_add(out, t);
}

/* ---- permits --------------------------------------------------------------------------------- */

/* Under the mutex: a permit and its place in the global count. */
static bool
permit_take(struct gate *g)
{
	uint32_t n;

	if (g->in_use >= g->limits.permits)
		return false;
	n = atomic_load(&all.inside);
	do {
		if (n >= atomic_load(&all.max)) {
			atomic_store(&all.starved, true);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&all.inside, &n, n + 1));
	g->in_use++;
	return true;
}

static void
permit_give(struct gate *g)
{
	assert(g->in_use > 0);
	g->in_use--;
	atomic_fetch_sub(&all.inside, 1);
}

/* Under the mutex: who is next; not removed. ret_before as line_remove wants it. */
static struct task *
first_waiter(struct gate *g, struct line **ret_line, struct task **ret_before)
{
	struct task *before = NULL;

	for (unsigned c = 0; c < CLASSES; c++) {
		struct line *l = &g->lines[c];
		struct task *t = l->head;

		/* an open breaker: only a probe may begin */
		if (c == CALL_BEGIN && g->breaker != CLOSED)
			for (; t && !t->probe; t = t->link)
				before = t;
		if (t) {
			*ret_line = l;
			*ret_before = before;
			return t;
		}
	}
	return NULL;
}

static void
grant(struct gate *g, struct task *t)
{
	t->held = g;
	g->calls++;
}

/* Under the mutex: as many as there are permits for. */
static void
let_in(struct gate *g, struct chain *out)
{
	struct task *t, *before;
	struct line *l;

	while ((t = first_waiter(g, &l, &before)) && permit_take(g)) {
		line_remove(l, before, t);
		grant(g, t);
		let_go(t, VERDICT_GO, out);
	}
}

/* All gates, one after the other: what the global count held back. */
static void
let_in_everywhere(void)
{
	for (struct gate *g = atomic_load(&gates); g; g = g->next) {
		struct chain out = {0};

		pthread_mutex_lock(&g->mutex);
		let_in(g, &out);
		pthread_mutex_unlock(&g->mutex);
		chain_push(&out);
	}
}

/* ---- breaker --------------------------------------------------------------------------------- */

/* Under the mutex. Those who wait to begin are told at once. */
static void
breaker_open(struct gate *g, int64_t now_ms, struct chain *out)
{
	struct line *l = &g->lines[CALL_BEGIN];
	struct task *before = NULL, *next;

	g->breaker = OPEN;
	g->until_ms = now_ms + g->limits.breaker_open_ms;
	g->trips++;
	for (struct task *t = l->head; t; t = next) {
		next = t->link;
		if (t->probe) {
			before = t;
			continue;
		}
		line_remove(l, before, t);
		g->refused++;
		let_go(t, VERDICT_REFUSED, out);
	}
}

static void
breaker_forget(struct gate *g)
{
	g->in_a_row = 0;
	g->two_keys = false;
}

/* Under the mutex: one call of the backend came back. True: the breaker opened. */
static bool
breaker_count(struct gate *g, const struct task *t, int64_t now_ms, struct chain *out)
{
	if (!t->backend_failed) {
		if (g->breaker == CLOSED)
			breaker_forget(g);
		return false;
	}
	g->failures++;
	if (g->breaker != CLOSED || t->probe)
		return false;
	if (g->in_a_row == 0)
		g->first_key = t->who_key;
	else if (t->who_key != g->first_key)
		g->two_keys = true;
	if (g->in_a_row < UINT32_MAX)
		g->in_a_row++;
	if (g->limits.trip_after == 0 || g->in_a_row < g->limits.trip_after || !g->two_keys)
		return false;
	breaker_open(g, now_ms, out);
	return true;
}

static void
say_open(const struct gate *g, int64_t open_ms)
{
	log_msg(LOG_LVL_WARNING, "breaker",
		"section %s: its backend fails; new calls are refused for %lld ms, then it is asked again",
		g->name, (long long)open_ms);
}

void
gate_probe_result(struct gate *g, bool ok)
{
	struct chain out = {0};
	bool changed;

	pthread_mutex_lock(&g->mutex);
	changed = ok && g->breaker != CLOSED;
	if (changed) {
		g->breaker = CLOSED;
		breaker_forget(g);
		let_in(g, &out);
	} else if (!ok && g->breaker == HALF_OPEN) {
		g->breaker = OPEN;
		g->until_ms = mono_ms() + g->limits.breaker_open_ms;
	}
	pthread_mutex_unlock(&g->mutex);
	chain_push(&out);
	if (changed)
		log_msg(LOG_LVL_NOTICE, "breaker", "section %s: its backend answers again", g->name);
}

void
gate_overdue(struct gate *g)
{
	struct chain out = {0};
	bool opened = false;
	int64_t open_ms;

	pthread_mutex_lock(&g->mutex);
	g->overdue++;
	open_ms = g->limits.breaker_open_ms;
	if (g->breaker == CLOSED && g->limits.trip_after > 0) {
		breaker_open(g, mono_ms(), &out);
		opened = true;
	}
	pthread_mutex_unlock(&g->mutex);
	chain_push(&out);
	if (opened)
		say_open(g, open_ms);
}

/* ---- enter, leave ---------------------------------------------------------------------------- */

/* Under the mutex: may it stand in the BEGIN line? */
static bool
begin_has_place(const struct gate *g, const struct task *t)
{
	const struct line *l = &g->lines[CALL_BEGIN];
	uint32_t share = g->limits.queue_max / SHARE > 0 ? g->limits.queue_max / SHARE : 1;
	uint32_t same = 0;

	if (l->n >= g->limits.queue_max)
		return false;
	if (t->peer_key == 0)
		return true;
	for (const struct task *w = l->head; w; w = w->link)
		same += w->peer_key == t->peer_key;
	return same < share;
}

static bool
somebody_waits_before(struct gate *g, const struct task *t)
{
	for (unsigned c = 0; c <= t->call_class; c++)
		if (g->lines[c].head && !(c == CALL_BEGIN && t->probe))
			return true;
	return false;
}

/* Under the mutex. */
static enum gate_answer
answer(struct gate *g, struct task *t, int64_t now_ms)
{
	bool begin = t->call_class == CALL_BEGIN && !t->probe;

	if (begin && g->breaker != CLOSED)
		return GATE_REFUSED;
	if (!somebody_waits_before(g, t) && permit_take(g)) {
		grant(g, t);
		t->verdict = VERDICT_GO;
		return GATE_GO;
	}
	if (begin && !begin_has_place(g, t))
		return GATE_REFUSED;
	t->waiting_since_ms = now_ms;
	slot_set_gated(t->slot);
	line_add(&g->lines[t->call_class], t);
	return GATE_WAIT;
}

enum gate_answer
gate_enter(struct gate *g, struct task *t)
{
	int64_t now_ms = mono_ms();
	enum gate_answer a;

	assert(t->call_class < CLASSES && !t->held);
	pthread_mutex_lock(&g->mutex);
	a = answer(g, t, now_ms);
	if (a == GATE_REFUSED) {
		t->verdict = VERDICT_REFUSED;
		g->refused++;
	}
	pthread_mutex_unlock(&g->mutex);
	return a;
}

void
gate_leave(struct gate *g, struct task *t, int64_t ms)
{
	int64_t now_ms = mono_ms(), open_ms;
	struct task *next, *before;
	struct chain out = {0};
	struct line *l;
	bool opened;

	assert(t->held == g);
	t->held = NULL;
	pthread_mutex_lock(&g->mutex);
	if (ms > 0) {
		g->busy_ms += (uint64_t)ms;
		if ((uint64_t)ms > g->slowest_ms)
			g->slowest_ms = (uint64_t)ms;
	}
	opened = breaker_count(g, t, now_ms, &out);
	open_ms = g->limits.breaker_open_ms;
	next = first_waiter(g, &l, &before);
	if (next && g->in_use <= g->limits.permits) { /* the permit itself goes on */
		line_remove(l, before, next);
		grant(g, next);
		let_go(next, VERDICT_GO, &out);
	} else {
		permit_give(g);
	}
	pthread_mutex_unlock(&g->mutex);
	chain_push(&out);
	if (opened)
		say_open(g, open_ms);
	if (atomic_load(&all.starved) && atomic_exchange(&all.starved, false))
		let_in_everywhere();
}

/* ---- the tick -------------------------------------------------------------------------------- */

/* Its verdict, or VERDICT_NONE: it waits on. */
static enum verdict
waiter_verdict(const struct gate *g, const struct task *t, int64_t now_ms)
{
	int64_t until_ms = t->wait_until_ms;

	if (t->call_class == CALL_BEGIN)
		until_ms = t->waiting_since_ms + g->limits.wait_ms;
	if (until_ms != 0 && now_ms >= until_ms)
		return VERDICT_TIMEOUT;
	if (t->call_class != CALL_GIVE_BACK && (slot_peek_note(t->slot) & NOTE_KICK))
		return VERDICT_CLOSED;
	return VERDICT_NONE;
}

static void
sweep(struct gate *g, struct line *l, int64_t now_ms, struct chain *out)
{
	struct task *before = NULL, *next;

	for (struct task *t = l->head; t; t = next) {
		enum verdict v = waiter_verdict(g, t, now_ms);

		next = t->link;
		if (v == VERDICT_NONE) {
			before = t;
			continue;
		}
		line_remove(l, before, t);
		g->timeouts += v == VERDICT_TIMEOUT;
		let_go(t, v, out);
	}
}

/* Under the mutex. True: it wants a probe. */
static bool
breaker_tick(struct gate *g, int64_t now_ms, bool can_probe)
{
	if (g->breaker == CLOSED || now_ms < g->until_ms)
		return false;
	if (!can_probe) { /* then the next call is the probe: one failure more opens it again */
		g->breaker = CLOSED;
		g->in_a_row = g->limits.trip_after > 0 ? g->limits.trip_after - 1 : 0;
		return false;
	}
	g->breaker = HALF_OPEN;
	g->until_ms = now_ms + g->limits.breaker_open_ms + g->limits.call_ms;
	return true;
}

void
gate_tick(int64_t now_ms, void (*probe)(struct gate *g))
{
	atomic_store(&all.starved, false);
	for (struct gate *g = atomic_load(&gates); g; g = g->next) {
		struct chain out = {0};
		bool wants_probe;

		pthread_mutex_lock(&g->mutex);
		for (unsigned c = 0; c < CLASSES; c++)
			sweep(g, &g->lines[c], now_ms, &out);
		wants_probe = breaker_tick(g, now_ms, probe != NULL);
		let_in(g, &out);
		pthread_mutex_unlock(&g->mutex);
		chain_push(&out);
		if (wants_probe)
			probe(g);
	}
}

/* ---- making, looking ------------------------------------------------------------------------- */

/* Under list_mutex. */
static struct gate *
gate_find(const char *name)
{
	for (struct gate *g = atomic_load(&gates); g; g = g->next)
		if (strncmp(g->name, name, GATE_NAME_MAX - 1) == 0)
			return g;
	return NULL;
}

/* Under list_mutex. */
static struct gate *
gate_add(const char *name)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	if (pthread_mutex_init(&g->mutex, NULL) != 0) {
		free(g);
		return NULL;
	}
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->next = atomic_load(&gates);
	atomic_store(&gates, g);
	return g;
}

struct gate *
gate_get(const char *name, const struct gate_limits *limits)
{
	struct chain out = {0};
	struct gate *g;

	pthread_mutex_lock(&list_mutex);
	g = gate_find(name);
	if (!g)
		g = gate_add(name);
	pthread_mutex_unlock(&list_mutex);
	if (!g)
		return NULL;
	pthread_mutex_lock(&g->mutex);
	g->limits = *limits;
	let_in(g, &out);
	pthread_mutex_unlock(&g->mutex);
	chain_push(&out);
	return g;
}

void
gate_fini_all(void)
{
	struct gate *g = atomic_exchange(&gates, NULL), *next;

	for (; g; g = next) {
		next = g->next;
		assert(g->in_use == 0);
		pthread_mutex_destroy(&g->mutex);
		free(g);
	}
	atomic_store(&all.starved, false);
}

const char *
gate_name(const struct gate *g)
{
	return g->name;
}

void
gate_get_limits(const struct gate *g, struct gate_limits *ret)
{
	struct gate *m = (struct gate *)g; /* the mutex is not what the caller may not change */

	pthread_mutex_lock(&m->mutex);
	*ret = g->limits;
	pthread_mutex_unlock(&m->mutex);
}

/* Under the mutex. */
static void
status_fill(const struct gate *g, struct gate_status *s)
{
	static const char *const words[] = {"closed", "open", "half-open"};

	memcpy(s->name, g->name, sizeof(s->name));
	s->limits = g->limits;
	s->in_use = g->in_use;
	for (unsigned c = 0; c < CLASSES; c++)
		s->waiting[c] = g->lines[c].n;
	snprintf(s->breaker, sizeof(s->breaker), "%s", words[g->breaker]);
	s->open_until_ms = g->breaker == CLOSED ? 0 : g->until_ms;
	s->calls = g->calls;
	s->refused = g->refused;
	s->timeouts = g->timeouts;
	s->failures = g->failures;
	s->trips = g->trips;
	s->overdue = g->overdue;
	s->busy_ms = g->busy_ms;
	s->slowest_ms = g->slowest_ms;
}

void
gate_each(void (*fn)(const struct gate_status *s, void *ctx), void *ctx)
{
	for (struct gate *g = atomic_load(&gates); g; g = g->next) {
		struct gate_status s;

		pthread_mutex_lock(&g->mutex);
		status_fill(g, &s);
		pthread_mutex_unlock(&g->mutex);
		fn(&s, ctx);
	}
}
