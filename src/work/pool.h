/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - the worker threads and their loop: pop; if need: gate_enter; step; gate_leave; act on
 * next.
 */
#ifndef RST_WORK_POOL_H
#define RST_WORK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "work/task.h"

/* workers >= 4. False: threads could not be made (those made are ended again). */
bool pool_start(uint32_t workers);
/* queue_stop, then joins all workers. Main, at shutdown. The thread_exit hook runs on each. */
void pool_stop(void);

/* Threads that run. */
uint32_t pool_size(void);

/* Called on each worker thread as its last act (the ABI's thread_end); set before pool_start. */
void pool_set_thread_exit(void (*fn)(void));

/* Worker, before a module call: tells the watchdog and `restantectl modules` of it. method: a
 * static string. now_ms: mono_ms(), deadline_ms as in pm_call. Cleared by the pool after the
 * turn. */
void pool_calling(const char *method, int64_t now_ms, int64_t deadline_ms);

/* Acceptor's tick: a call past its deadline + 2 s is reported once through gate_overdue. */
void pool_watch(int64_t now_ms);

struct pool_call_status {
	char gate[64];
	char method[24];
	uint64_t task_id;
	int64_t started_ms, deadline_ms;
	bool overdue;
};
/* For status and shutdown: every call in progress. */
void pool_each_call(void (*fn)(const struct pool_call_status *s, void *ctx), void *ctx);

#endif
