/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate - permits for module calls: at most `permits` workers are inside one section's module,
 * and all gates together leave `reserve` workers free (gate_init_global), whatever hangs.
 *
 * Three lines (task.h: enum call_class), a limit on the BEGIN line, a breaker.
 * Threads: any; each gate has one mutex, never held with another lock.
 */
#ifndef RST_WORK_GATE_H
#define RST_WORK_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "work/task.h"

struct gate;

struct gate_limits {
	uint32_t permits;    /* calls at once */
	uint32_t queue_max;  /* sessions waiting in the BEGIN line */
	uint32_t trip_after; /* backend failures in a row, from two keys at least; 0 = never */
	int64_t wait_ms;     /* longest wait in the BEGIN line */
	int64_t call_ms;     /* deadline of an ordinary call */
	int64_t scan_ms;     /* of mbox_open and mbox_info */
	int64_t commit_ms;   /* of mbox_commit */
	int64_t breaker_open_ms;
};

#define GATE_NAME_MAX 64

/* Bounds of the durations that are counted. */
#define GATE_BUCKETS 13
extern const uint16_t gate_bucket_ms[GATE_BUCKETS];

enum gate_answer { GATE_GO, GATE_WAIT, GATE_REFUSED };

/* At most workers - reserve tasks are inside all gates together. */
void gate_init_global(uint32_t workers, uint32_t reserve);

/* A gate belongs to a section's name and is never freed while the server runs: the same name again
 * returns the same gate. limits: its new ones; NULL: keeps those it has (a new gate lets nobody in
 * until it has been given some). NULL returned: no memory. name is cut to GATE_NAME_MAX - 1. */
struct gate *gate_get(const char *name, const struct gate_limits *limits);
/* At once; with fewer permits, those inside stay. */
void gate_set_limits(struct gate *g, const struct gate_limits *limits);
/* At the end: forgets all gates. None may be in use. */
void gate_fini_all(void);

const char *gate_name(const struct gate *g);

/* Pool: owner of t asks for t->need. GO: t->held is set. WAIT: the gate owns t now. */
enum gate_answer gate_enter(struct gate *g, struct task *t);
/* Pool: the permit comes back after `ms`; the next waiter is pushed. */
void gate_leave(struct gate *g, struct task *t, int64_t ms);

/* Acceptor's tick: takes out waiters whose wait is over or who were kicked, closes over-aged
 * breakers, lets in waiters that the global count held back. Gates that want a probe are handed to
 * `probe`. */
void gate_tick(int64_t now_ms, void (*probe)(struct gate *g));
/* Answer of a probe (errand): success closes the breaker. */
void gate_probe_result(struct gate *g, bool ok);
/* Watchdog: a call is overdue: count it, and open the breaker. */
void gate_overdue(struct gate *g);

#endif
