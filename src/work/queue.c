/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run queue. Two choices come from measurements:
 *
 * Idle workers form a stack: the one that slept last has the warmest caches. A condition variable
 * shared by all wakes the coldest and costs 15-20 % more CPU per session.
 *
 * At most one worker is waking at any time. A signal for each pushed session wakes workers that
 * find the queue empty again, because a worker that is up takes the next task without sleeping. So
 * push wakes nobody while a worker is on its way; and a worker that has taken a task wakes the next
 * one if work is left, *before* it may block in its own. That chain keeps the promise: as long as
 * there is work and an idle worker, one is waking.
 */
#include "work/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "work/stress.h"

struct queue_worker {
	pthread_cond_t cond;
	/* below: under queue.mutex */
	struct queue_worker *below; /* on the stack of idle workers */
	bool woken;
};

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct task *head, *tail;
	uint64_t depth;
	struct queue_worker *idle;
	bool waking;
	bool stopped;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void
queue_init(void)
{
	pthread_mutex_lock(&queue.mutex);
	queue.head = queue.tail = NULL;
	queue.depth = 0;
	queue.idle = NULL;
	queue.waking = false;
	queue.stopped = false;
	pthread_mutex_unlock(&queue.mutex);
}

void
queue_fini(void)
{
	assert(!queue.head);
	assert(!queue.idle);
}

/* Under the mutex: the worker to be signalled after unlocking, or NULL. */
static struct queue_worker *
idle_wake(void)
{
	struct queue_worker *w = queue.idle;

	if (!w || queue.waking)
		return NULL;
	queue.idle = w->below;
	queue.waking = true;
	w->woken = true;
	return w;
}

void
queue_push(struct task *t)
{
	queue_push_batch(t, t);
}

void
queue_push_batch(struct task *first, struct task *last)
{
	int64_t now_ms = mono_ms();
	struct queue_worker *w;
	uint64_t n = 1;

	last->link = NULL;
	for (struct task *t = first; t != last; t = t->link) {
		t->queued_ms = now_ms;
		n++;
	}
	last->queued_ms = now_ms;
	STRESS_POINT();
	pthread_mutex_lock(&queue.mutex);
	if (queue.tail)
		queue.tail->link = first;
	else
		queue.head = first;
	queue.tail = last;
	queue.depth += n;
	w = idle_wake();
	pthread_mutex_unlock(&queue.mutex);
	if (w)
		pthread_cond_signal(&w->cond);
}

/* Under the mutex: sleeps until there is something to do. */
static void
idle_wait(struct queue_worker *me)
{
	me->woken = false;
	me->below = queue.idle;
	queue.idle = me;
	while (!me->woken)
		pthread_cond_wait(&me->cond, &queue.mutex);
	queue.waking = false;
}

struct task *
queue_pop(struct queue_worker *me)
{
	struct queue_worker *w;
	struct task *t;

	pthread_mutex_lock(&queue.mutex);
	while (!queue.head && !queue.stopped)
		idle_wait(me);
	t = queue.head;
	if (t) {
		queue.head = t->link;
		if (!queue.head)
			queue.tail = NULL;
		queue.depth--;
	}
	w = queue.head ? idle_wake() : NULL;
	pthread_mutex_unlock(&queue.mutex);
	if (w)
		pthread_cond_signal(&w->cond);
	STRESS_POINT();
	if (t)
		t->link = NULL;
	return t;
}

struct queue_worker *
queue_worker_new(void)
{
	struct queue_worker *w = calloc(1, sizeof(*w));

	if (w && pthread_cond_init(&w->cond, NULL) != 0) {
		free(w);
		w = NULL;
	}
	return w;
}

void
queue_worker_free(struct queue_worker *w)
{
	if (!w)
		return;
	pthread_cond_destroy(&w->cond);
	free(w);
}

void
queue_stop(void)
{
	struct queue_worker *w;

	pthread_mutex_lock(&queue.mutex);
	queue.stopped = true;
	while ((w = queue.idle)) { /* the one time when all of them must look */
		queue.idle = w->below;
		w->woken = true;
		pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&queue.mutex);
}

uint32_t
queue_idle_workers(void)
{
	uint32_t n = 0;

	pthread_mutex_lock(&queue.mutex);
	for (const struct queue_worker *w = queue.idle; w; w = w->below)
		n++;
	pthread_mutex_unlock(&queue.mutex);
	return n;
}

uint64_t
queue_depth(void)
{
	uint64_t n;

	pthread_mutex_lock(&queue.mutex);
	n = queue.depth;
	pthread_mutex_unlock(&queue.mutex);
	return n;
}

int64_t
queue_head_age_ms(int64_t now_ms)
{
	int64_t age = 0;

	pthread_mutex_lock(&queue.mutex);
	if (queue.head)
		age = now_ms - queue.head->queued_ms;
	pthread_mutex_unlock(&queue.mutex);
	return age > 0 ? age : 0;
}
