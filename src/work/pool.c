/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers. The next move that a step asks for is made here and nowhere else.
 *
 * A worker has a public record of the call it is in, for the watchdog and `restantectl modules`,
 * under a sequence number like the slots' (slot.c). The watchdog only looks: no thread is
 * cancelled.
 */
#include "work/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/gate.h"
#include "work/queue.h"
#include "work/slot.h"

/* Client libraries are hungry; 32 of these are address space, not memory. */
#define STACK_BYTES (512 * 1024)
/* Turns in a row that a task may have while others wait; then it goes to the end of the queue.
 * Without this a client that never stops sending would keep a worker to itself. */
#define TURNS_MAX 32
/* A call is overdue this long after its deadline. */
#define OVERDUE_MS 2000
/* The tick comes every 250 ms; when it is this late, the machine stood still, not the modules. */
#define TICK_LATE_MS 1250

struct call_record {
	struct gate *gate;
	const char *method;
	uint64_t task_id;
	int64_t started_ms, deadline_ms;
};

struct worker {
	pthread_t thread;
	struct queue_worker *place;
	struct task *task;         /* the worker's own: the task whose turn it is */
	uint64_t judged;           /* the watchdog's: the call that it has reported */
	_Atomic uint64_t sequence; /* odd: being written; gate NULL: in no call */
	_Atomic(struct gate *) gate;
	_Atomic(const char *) method;
	_Atomic uint64_t task_id;
	_Atomic int64_t started_ms, deadline_ms;
};

static struct {
	struct worker *workers;
	uint32_t n; /* threads that run */
	void (*thread_exit)(void);
	int64_t watched_ms; /* the watchdog's: the time of its last look */
} pool;

static _Thread_local struct worker *self;

/* ---- what a worker is doing ------------------------------------------------------------------ */

static void
pool_record_write(struct worker *w, const struct call_record *r)
{
	uint64_t seq = atomic_load_explicit(&w->sequence, memory_order_relaxed); /* one writer */

	atomic_store_explicit(&w->sequence, seq + 1, memory_order_relaxed);
	atomic_store_explicit(&w->gate, r->gate, memory_order_release);
	atomic_store_explicit(&w->method, r->method, memory_order_release);
	atomic_store_explicit(&w->task_id, r->task_id, memory_order_release);
	atomic_store_explicit(&w->started_ms, r->started_ms, memory_order_release);
	atomic_store_explicit(&w->deadline_ms, r->deadline_ms, memory_order_release);
	atomic_store_explicit(&w->sequence, seq + 2, memory_order_release);
}

/* False: in no call, or changing right now. *ret_seq identifies the call. */
static bool
record_read(struct worker *w, struct call_record *ret, uint64_t *ret_seq)
{
	struct call_record r;
	uint64_t seq = atomic_load_explicit(&w->sequence, memory_order_acquire);

	r.gate = atomic_load_explicit(&w->gate, memory_order_acquire);
	r.method = atomic_load_explicit(&w->method, memory_order_acquire);
	r.task_id = atomic_load_explicit(&w->task_id, memory_order_acquire);
	r.started_ms = atomic_load_explicit(&w->started_ms, memory_order_acquire);
	r.deadline_ms = atomic_load_explicit(&w->deadline_ms, memory_order_acquire);
	if ((seq & 1) || !r.gate || atomic_load_explicit(&w->sequence, memory_order_relaxed) != seq)
		return false;
	*ret = r;
	*ret_seq = seq;
	return true;
}

void
pool_calling(const char *method, int64_t now_ms, int64_t deadline_ms)
{
	struct call_record r = {.method = method, .started_ms = now_ms, .deadline_ms = deadline_ms};

	if (!self || !self->task || !self->task->held)
		return; /* not under a permit: nothing to watch */
	r.gate = self->task->held;
	r.task_id = self->task->id;
	pool_record_write(self, &r);
}

void
pool_watch(int64_t now_ms)
{
	int64_t since_ms = now_ms - pool.watched_ms;
	bool first = pool.watched_ms == 0;

	pool.watched_ms = now_ms;
	if (first || since_ms > TICK_LATE_MS)
		return;
	for (uint32_t i = 0; i < pool.n; i++) {
		struct worker *w = &pool.workers[i];
		struct call_record r;
		uint64_t seq;

		if (!record_read(w, &r, &seq) || seq == w->judged ||
		    now_ms < r.deadline_ms + OVERDUE_MS)
			continue;
		w->judged = seq;
		log_msg(LOG_LVL_ERROR, "overdue",
			"%s of section %s, session %llu: %lld ms in the call, %lld past its "
			"deadline",
			r.method, gate_name(r.gate), (unsigned long long)r.task_id,
			(long long)(now_ms - r.started_ms), (long long)(now_ms - r.deadline_ms));
		gate_overdue(r.gate);
	}
}

void
pool_each_call(void (*fn)(const struct pool_call_status *s, void *ctx), void *ctx)
{
	int64_t now_ms = mono_ms();

	for (uint32_t i = 0; i < pool.n; i++) {
		struct pool_call_status s = {0};
		struct call_record r;
		uint64_t seq;

		if (!record_read(&pool.workers[i], &r, &seq))
			continue;
		snprintf(s.gate, sizeof(s.gate), "%s", gate_name(r.gate));
		snprintf(s.method, sizeof(s.method), "%s", r.method);
		s.task_id = r.task_id;
		s.started_ms = r.started_ms;
		s.deadline_ms = r.deadline_ms;
		s.overdue = now_ms >= r.deadline_ms + OVERDUE_MS;
		fn(&s, ctx);
	}
}

/* ---- one task -------------------------------------------------------------------------------- */

/* False: the gate owns it now. */
static bool
ask_gate(struct task *t)
{
	struct gate *g = t->need;

	t->need = NULL; /* before: after WAIT it is not ours to write */
	return gate_enter(g, t) != GATE_WAIT;
}

static enum next
take_turn(struct worker *w, struct task *t)
{
	int64_t start_ms = t->held ? mono_ms() : 0;
	enum next next;

	w->task = t;
	t->backend_failed = false;
	next = t->step(t);
	t->verdict = VERDICT_NONE;
	w->task = NULL;
	if (t->held) {
		if (atomic_load_explicit(&w->gate, memory_order_relaxed)) /* our own store */
			pool_record_write(w, &(struct call_record){0});
		gate_leave(t->held, t, mono_ms() - start_ms);
	}
	return next;
}

static void
end_task(struct task *t)
{
	struct slot *s = t->slot;

	/* no token matches any more; only then may the descriptor be closed and reused */
	slot_retire(s);
	t->close(t);
	slot_release(s);
}

static void
pool_requeue(struct task *t)
{
	slot_set_queued(t->slot);
	queue_push(t);
}

/* From the queue to wherever it goes; the task is not touched after that. */
static void
run_task(struct worker *w, struct task *t)
{
	slot_set_running(t->slot);
	t->pops++;
	for (unsigned turns = 1;; turns++) {
		if (t->need && !ask_gate(t))
			return;
		switch (take_turn(w, t)) {
		case NEXT_DONE:
			end_task(t);
			return;
		case NEXT_PARK:
			assert(!t->need);
			if (slot_park(t->slot))
				return;
			break; /* something happened meanwhile */
		case NEXT_MORE:
			break;
		case NEXT_AGAIN:
			if (!t->need) {
				pool_requeue(t);
				return;
			}
			break;
		}
		if (turns >= TURNS_MAX) {
			pool_requeue(t);
			return;
		}
	}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct task *t;

	self = w;
	while ((t = queue_pop(w->place)))
		run_task(w, t);
	self = NULL;
	if (pool.thread_exit)
		pool.thread_exit();
	return NULL;
}

/* ---- start, stop ----------------------------------------------------------------------------- */

void
pool_set_thread_exit(void (*fn)(void))
{
	pool.thread_exit = fn;
}

static bool
worker_start(struct worker *w, uint32_t number)
{
	pthread_attr_t attr;
	char name[16];
	int rc;

	w->place = queue_worker_new();
	if (!w->place || pthread_attr_init(&attr) != 0)
		return false;
	rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (rc == 0)
		rc = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return false;
	snprintf(name, sizeof(name), "worker-%u", number % 100000);
	(void)pthread_setname_np(w->thread, name); /* only for top(1) */
	return true;
}

bool
pool_start(uint32_t workers)
{
	assert(!pool.workers);
	pool.workers = calloc(workers, sizeof(*pool.workers));
	if (!pool.workers)
		return false;
	pool.watched_ms = 0;
	for (uint32_t i = 0; i < workers; i++) {
		if (!worker_start(&pool.workers[i], i)) {
			queue_worker_free(pool.workers[i].place);
			pool_stop();
			return false;
		}
		pool.n++;
	}
	return true;
}

uint32_t
pool_size(void)
{
	return pool.n; /* set before admin's thread is started */
}

void
pool_stop(void)
{
	queue_stop();
	for (uint32_t i = 0; i < pool.n; i++)
		pthread_join(pool.workers[i].thread, NULL);
	/* only now: a worker may still signal the condition of one that has ended */
	for (uint32_t i = 0; i < pool.n; i++)
		queue_worker_free(pool.workers[i].place);
	free(pool.workers);
	pool.workers = NULL;
	pool.n = 0;
}
