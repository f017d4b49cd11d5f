/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue - the run queue: an intrusive FIFO, a stack of idle workers, at most one of them waking.
 * It cannot overflow: a task is on at most one list. doc/internals/engine.md has the measurements.
 */
#ifndef RST_WORK_QUEUE_H
#define RST_WORK_QUEUE_H

#include <stdint.h>

#include "work/task.h"

struct queue_worker; /* one per worker thread, made by the pool */

void queue_init(void);
void queue_fini(void);

/* Any thread: append a QUEUED task; wakes at most one worker. Never fails, never waits. */
void queue_push(struct task *t);
/* A chain linked by t->link, under one lock. */
void queue_push_batch(struct task *first, struct task *last);

/* Worker: the next task, waiting for it; NULL: queue_stop was called and the queue is empty. */
struct task *queue_pop(struct queue_worker *me);
struct queue_worker *queue_worker_new(void);
void queue_worker_free(struct queue_worker *w);
void queue_stop(void);

/* For status and shedding. */
uint64_t queue_depth(void);
int64_t queue_head_age_ms(int64_t now_ms);
/* Workers without work. */
uint32_t queue_idle_workers(void);

#endif
