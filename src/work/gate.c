/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gates: how many tasks may be inside a module.
 *
 * A module call may block until its deadline, and a blocked thread cannot be taken back. So a
 * section has `permits`. When none is free, the worker does not wait for one: the task is put on
 * one of three lines and belongs to the gate until a permit comes back.
 *
 *   GIVE_BACK  must happen (a lock is released, a commit): never refused, never kicked
 *   CONTINUE   a download under way: never refused, waits as long as the task itself allows
 *   BEGIN      everything else: bounded line, bounded wait, bounded share per address, breaker
 *
 * A permit that comes back goes directly to the head of the first line that has one: in_use and the
 * global count do not move, so nobody can slip in between.
 *
 * The global count keeps all gates together below workers - reserve. The configuration is checked
 * so that the permits alone already ensure that; but while a reload has old and new gates at once,
 * or a smaller number of permits has not come into effect, only the count does. A task it holds
 * back waits like any other; `starved` remembers that there is one, and the next permit given back
 * anywhere, or the tick, visits all gates. One gate's mutex at a time: leaving A unlocks A before
 * it looks at B.
 *
 * The breaker counts failures of the backend in a row (DOWN, TIMEOUT; a broken mailbox is neither),
 * and opens only if two different accounts saw them. While it is open, BEGIN is refused at once,
 * and so are tasks that are already waiting for it. Then one probe: the prober's errand passes, all
 * others are still refused. Its success closes the breaker. If a probe never answers, another one
 * is sent after the same time.
 */
#include "work/gate.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/gate_impl.h"
#include "work/gates.h"
#include "work/queue.h"
#include "work/slot.h"

/* An address may hold this part of the BEGIN places. */
#define SHARE 4

static struct {
	_Atomic uint32_t inside;
	_Atomic uint32_t max;
	_Atomic bool starved; /* a permit was free, but the count did not allow it */
} all = {.max = UINT32_MAX};

void
gate_init_global(uint32_t workers, uint32_t reserve)
{
	atomic_store(&all.max, workers > reserve ? workers - reserve : 1);
}

/* ---- out of the gate ------------------------------------------------------------------------- */

/* Without any lock: tasks that left the gate go to the run queue. */
static void
out_push(struct line *out)
{
	if (out->head)
		queue_push_batch(out->head, out->tail);
}

/* Under the mutex: t leaves the gate with a verdict. */
static void
let_go(struct task *t, enum verdict v, struct line *out)
{
	t->verdict = (uint8_t)v;
	slot_set_queued(t->slot);
	line_add(out, t);
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

/* Under the mutex: the next waiter; not removed. ret_before as line_remove needs it. */
static struct task *
first_waiter(struct gate *g, struct line **ret_line, struct task **ret_before)
{
	struct task *before = NULL;

	for (unsigned c = 0; c < CLASSES; c++) {
		struct line *l = &g->lines[c];
		struct task *t = l->head;

		/* an open breaker: only a probe may begin */
		if (c == CALL_BEGIN && g->breaker.state != BREAKER_CLOSED)
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
gate_grant(struct gate *g, struct task *t)
{
	t->held = g;
	g->calls++;
}

/* Under the mutex: as many waiters as there are permits. */
static void
gate_let_in(struct gate *g, struct line *out)
{
	struct task *t, *before;
	struct line *l;

	while ((t = first_waiter(g, &l, &before)) && permit_take(g)) {
		line_remove(l, before, t);
		gate_grant(g, t);
		let_go(t, VERDICT_GO, out);
	}
}

/* Its limits or the global count have changed. */
static void
gate_resized(struct gate *g)
{
	struct line out = {0};

	pthread_mutex_lock(&g->mutex);
	gate_let_in(g, &out);
	pthread_mutex_unlock(&g->mutex);
	out_push(&out);
}

/* In all gates, one after the other: waiters that the global count held back. */
static void
let_in_everywhere(void)
{
	for (struct gate *g = gates_first(); g; g = g->next)
		gate_resized(g);
}

/* ---- a name's gate --------------------------------------------------------------------------- */

struct gate *
gate_get(const char *name, const struct gate_limits *limits)
{
	struct gate *g = gates_get(name);

	if (g && limits)
		gate_set_limits(g, limits);
	return g;
}

void
gate_set_limits(struct gate *g, const struct gate_limits *limits)
{
	pthread_mutex_lock(&g->mutex);
	g->limits = *limits;
	pthread_mutex_unlock(&g->mutex);
	gate_resized(g);
}

const char *
gate_name(const struct gate *g)
{
	return g->name;
}

void
gate_fini_all(void)
{
	gates_fini();
	assert(atomic_load(&all.inside) == 0);
	atomic_store(&all.starved, false);
}

/* ---- breaker --------------------------------------------------------------------------------- */

/* Under the mutex. Tasks that wait to begin are refused at once. */
static void
gate_trip(struct gate *g, int64_t now_ms, struct line *out)
{
	struct line *l = &g->lines[CALL_BEGIN];
	struct task *before = NULL, *next;

	breaker_open(&g->breaker, now_ms + g->limits.breaker_open_ms);
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

/* Under the mutex: one call came back. True: the breaker opened. */
static bool
gate_judge(struct gate *g, const struct task *t, int64_t now_ms, struct line *out)
{
	g->failures += t->backend_failed;
	if (t->background && !t->backend_failed)
		/* otherwise a module that ticks more often than its users come would never trip */
		return false;
	if (t->probe || /* the errand that probed reports by gate_probe_result */
	    !breaker_count(&g->breaker, t->backend_failed, t->who_key, g->limits.trip_after))
		return false;
	gate_trip(g, now_ms, out);
	return true;
}

static void
gate_report_open(const struct gate *g, int64_t open_ms)
{
	log_msg(LOG_LVL_WARNING, "breaker",
		"section %s: its backend fails; new calls are refused for %lld ms, then it is "
		"asked again",
		g->name, (long long)open_ms);
}

void
gate_probe_result(struct gate *g, bool ok)
{
	struct line out = {0};
	bool changed;

	pthread_mutex_lock(&g->mutex);
	changed = ok && g->breaker.state != BREAKER_CLOSED;
	if (changed) {
		breaker_close(&g->breaker);
		gate_let_in(g, &out);
	} else if (!ok && g->breaker.state == BREAKER_HALF_OPEN) {
		breaker_open(&g->breaker, mono_ms() + g->limits.breaker_open_ms);
	}
	pthread_mutex_unlock(&g->mutex);
	out_push(&out);
	if (changed)
		log_msg(LOG_LVL_NOTICE, "breaker", "section %s: its backend answers again",
			g->name);
}

void
gate_overdue(struct gate *g)
{
	struct line out = {0};
	bool opened = false;
	int64_t open_ms;

	pthread_mutex_lock(&g->mutex);
	g->overdue++;
	open_ms = g->limits.breaker_open_ms;
	if (g->breaker.state == BREAKER_CLOSED && g->limits.trip_after > 0) {
		gate_trip(g, mono_ms(), &out);
		opened = true;
	}
	pthread_mutex_unlock(&g->mutex);
	out_push(&out);
	if (opened)
		gate_report_open(g, open_ms);
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
gate_decide(struct gate *g, struct task *t, int64_t now_ms)
{
	bool begin = t->call_class == CALL_BEGIN && !t->probe;

	if (begin && g->breaker.state != BREAKER_CLOSED)
		return GATE_REFUSED;
	if (!somebody_waits_before(g, t) && permit_take(g)) {
		gate_grant(g, t);
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
	a = gate_decide(g, t, now_ms);
	if (a == GATE_REFUSED) {
		t->verdict = VERDICT_REFUSED;
		g->refused++;
	}
	pthread_mutex_unlock(&g->mutex);
	return a;
}

const uint16_t gate_bucket_ms[GATE_BUCKETS] = {5,    10,   25,   50,    100,   250,  500,
					       1000, 2500, 5000, 10000, 20000, 60000};

/* Under the mutex. Most turns end in the first bucket. */
static void
count_duration(struct gate *g, uint64_t ms)
{
	unsigned i = 0;

	while (i < GATE_BUCKETS && ms > gate_bucket_ms[i])
		i++;
	g->took[i]++;
	g->busy_ms += ms;
	if (ms > g->slowest_ms)
		g->slowest_ms = ms;
}

void
gate_leave(struct gate *g, struct task *t, int64_t ms)
{
	int64_t now_ms = mono_ms(), open_ms;
	struct task *next, *before;
	struct line out = {0};
	struct line *l;
	bool opened;

	assert(t->held == g);
	t->held = NULL;
	pthread_mutex_lock(&g->mutex);
	count_duration(g, ms > 0 ? (uint64_t)ms : 0);
	opened = gate_judge(g, t, now_ms, &out);
	open_ms = g->limits.breaker_open_ms;
	next = first_waiter(g, &l, &before);
	if (next && g->in_use <= g->limits.permits) { /* the permit itself is passed on */
		line_remove(l, before, next);
		gate_grant(g, next);
		let_go(next, VERDICT_GO, &out);
	} else {
		permit_give(g);
	}
	pthread_mutex_unlock(&g->mutex);
	out_push(&out);
	if (opened)
		gate_report_open(g, open_ms);
	if (atomic_load(&all.starved) && atomic_exchange(&all.starved, false))
		let_in_everywhere();
}

/* ---- the tick -------------------------------------------------------------------------------- */

/* The waiter's verdict, or VERDICT_NONE: it goes on waiting. */
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
gate_sweep(struct gate *g, struct line *l, int64_t now_ms, struct line *out)
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
	if (!breaker_wants_probe(&g->breaker, now_ms))
		return false;
	if (can_probe)
		breaker_probing(&g->breaker,
				now_ms + g->limits.breaker_open_ms + g->limits.call_ms);
	else /* the next call is the probe */
		breaker_close_warily(&g->breaker, g->limits.trip_after);
	return can_probe;
}

void
gate_tick(int64_t now_ms, void (*probe)(struct gate *g))
{
	atomic_store(&all.starved, false);
	for (struct gate *g = gates_first(); g; g = g->next) {
		struct line out = {0};
		bool wants_probe;

		pthread_mutex_lock(&g->mutex);
		for (unsigned c = 0; c < CLASSES; c++)
			gate_sweep(g, &g->lines[c], now_ms, &out);
		wants_probe = breaker_tick(g, now_ms, probe != NULL);
		gate_let_in(g, &out);
		pthread_mutex_unlock(&g->mutex);
		out_push(&out);
		if (wants_probe)
			probe(g);
	}
}
