/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand - background tasks in the same slots, queue and gates as sessions: probes, module ticks,
 * lookups for restantectl.
 * Threads: start: any; run: a worker.
 */
#ifndef RST_MODULE_ERRAND_H
#define RST_MODULE_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "module/backend.h"
#include "module/caller.h"
#include "work/task.h"

struct errand {
	struct task task;
	struct conf *conf;       /* one reference; NULL is fine */
	struct backend *backend; /* where it runs: one reference; NULL: run asks by `caller` */
	const char *name;        /* static: "tick", "probe", "user" */
	struct host_call call;
	struct caller caller; /* for what sessions and errands share */
	struct arena arena;
	int64_t deadline_ms; /* of the whole errand: then finish(PM_TIMEOUT) */
	int64_t call_ms;     /* of the next call; 0: the backend's call_ms */
	/* Set by run while it holds a handle of a module: the errand is not ended from outside
	 * then, but asks for its permit in the GIVE_BACK line, without limit. run sees a kick by
	 * call.cancelled and gives the handle back. */
	bool holding;
	/* One module call under the permit; PM_AGAIN: once more. May change ->backend (reference
	 * moves) and return PM_AGAIN to go on under another gate's permit; or have asked for one by
	 * `caller`. */
	int32_t (*run)(struct errand *e);
	/* Once, on a worker, with run's last code, or PM_TEMP/PM_TIMEOUT when no permit came.
	 * Frees ctx. */
	void (*finish)(struct errand *e, int32_t rc);
	void *ctx;
};

/* Copies the template's conf (referenced), backend (referenced), name, class, run, finish, ctx.
 * False: no slot or memory; finish is not called. cls: enum call_class. */
bool errand_start(const struct errand *templ, int cls, bool probe);

/* Acceptor's tick: starts tick() of the current snapshot's instances when due. */
void errand_tick(int64_t now_ms);

/* In run: the next call is to another backend (a reference is taken), or of another class. Then
 * return PM_AGAIN. NULL: run asks for its permits by `caller`. */
void errand_go(struct errand *e, struct backend *b, int cls);
/* In run: is the errand unwanted (kicked, or the server ends), or its time over? */
bool errand_should_end(struct errand *e);
/* Acceptor: a gate's breaker wants to know. */
void errand_probe(struct gate *g);

#endif
