/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task - a session or an errand as the engine (work, net) knows it: the first member of struct
 * session, struct errand, ...
 *
 * A task is owned by exactly one place at a time (slot.h); its fields belong to that owner.
 */
#ifndef RST_WORK_TASK_H
#define RST_WORK_TASK_H

#include <stdbool.h>
#include <stdint.h>

struct gate;
struct slot;
struct task;

/* The next move that step() wants. */
enum next {
	NEXT_PARK, /* nothing to do until an edge, the slot's deadline, or a note */
	/* with need: as soon as the gate lets it in; without: after the others in the queue */
	NEXT_AGAIN,
	NEXT_MORE, /* another turn at once, after this turn's permit has been given back */
	NEXT_DONE, /* close() it */
};

/* Lines of a gate, served in this order. GIVE_BACK is never refused. */
enum call_class {
	CALL_GIVE_BACK, /* msg_close mbox_commit mbox_close dlv_commit dlv_abort tick */
	CALL_CONTINUE,  /* mbox_info msg_read dlv_write dlv_prepare; a BEGIN repeated after AGAIN */
	/* verify lookup mbox_open msg_open ...: refused when the gate is full or broken */
	CALL_BEGIN,
};

/* The outcome of `need`, for the step that follows. */
enum verdict {
	VERDICT_NONE,    /* no permit was asked for */
	VERDICT_GO,      /* this turn holds the permit: make the module call */
	VERDICT_REFUSED, /* queue full or breaker open: [SYS/TEMP] */
	VERDICT_TIMEOUT, /* waited too long in the line */
	VERDICT_CLOSED,  /* kicked while it waited; look at the note */
};

struct task {
	struct slot *slot;
	struct task *link; /* run queue or gate line */
	/* set by step with NEXT_AGAIN: a permit, please; cleared by the pool */
	struct gate *need;
	struct gate *held;  /* the permit this turn holds, else NULL */
	uint8_t call_class; /* of the permit wanted: enum call_class */
	uint8_t verdict;    /* enum verdict; NONE unless `need` was set */
	/* set by step: the call made under the permit was DOWN or TIMEOUT */
	bool backend_failed;
	bool probe; /* passes an open breaker */
	/* set for module ticks: success does not prove the backend is up, a tick may not contact
	 * it */
	bool background;
	/* set with need when the class is CONTINUE or GIVE_BACK: the wait ends then; 0 = never */
	int64_t wait_until_ms;
	int64_t waiting_since_ms; /* the gate's */
	int64_t queued_ms;        /* the run queue's */
	uint32_t pops;            /* the pool's: how often the task came out of the run queue */
	uint64_t peer_key;        /* share of a gate's line per address; 0 = none */
	uint64_t who_key;         /* breaker: failures must come from two distinct keys */
	uint64_t id;              /* session id, for log and watchdog */
	/* One turn, on a worker. Never waits for a client; waits in a module only if verdict is
	 * GO. */
	enum next (*step)(struct task *t);
	/* After NEXT_DONE, on the worker, slot already retired: close descriptors, free memory. */
	void (*close)(struct task *t);
};

#endif
