/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand - background tasks in the same slots, queue and gates as sessions: probes, module ticks,
 * lookups for restantectl, retries, sweeps. An errand waits for modules as a session does
 * (module/caller.h), and ends by itself when its deadline comes.
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
	struct backend *backend; /* one reference, for errand_enter; NULL: run asks for others */
	const char *name;        /* static: "tick", "probe", "user" */
	struct host_call call;   /* the last one by errand_enter, or run's own to use */
	struct caller caller;    /* its way into modules */
	struct arena arena;
	int64_t deadline_ms; /* of the whole errand: then finish(PM_TIMEOUT) */
	bool probe;          /* its calls pass an open breaker */
	/* success of its calls does not prove to the breaker that the backend is up */
	bool background;
	/* Goes on until a wait; its calls go by `caller`. PM_AGAIN: enter it again. While it holds
	 * a handle of a module (caller.holds) the errand is not ended from outside; it asks
	 * caller_should_end itself. */
	int32_t (*run)(struct errand *e);
	/* Once, on a worker, with run's last code, or PM_CANCELLED or PM_TIMEOUT. Frees ctx. */
	void (*finish)(struct errand *e, int32_t rc);
	void *ctx;
};

/* Copies the template's conf (referenced), backend (referenced), name, probe, background, run,
 * finish, ctx. False: no slot or memory; finish is not called. */
bool errand_start(const struct errand *templ);

/* In run: caller_enter for the errand's own backend, within its call_ms, into e->call. */
int32_t errand_enter(struct errand *e, enum call_class cls);

/* Acceptor's tick: starts tick() of the current snapshot's instances when due. */
void errand_tick(int64_t now_ms);

/* Acceptor: a gate's breaker wants a probe. */
void errand_probe(struct gate *g);

#endif
