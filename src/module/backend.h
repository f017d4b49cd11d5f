/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend - one auth or storage section, bound: module instance and gate. Shared by the snapshots
 * that have the same section; closed on the main thread after the last of them is gone. Badmail and
 * the looks at volumes have one without a module (inst NULL): their permits count like all others.
 */
#ifndef RST_MODULE_BACKEND_H
#define RST_MODULE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failing.h"
#include "conf/conf.h"
#include "host/call.h"
#include "work/gate.h"

/* account/credcache.h, account/owners.h: this room only carries the pointers */
struct credcache;
struct owners;

struct backend {
	_Atomic uint32_t refs;
	const char *section; /* own copy */
	enum conf_kind kind;
	struct host_inst *inst;
	struct gate *gate;
	struct gate_limits limits;
	/* SHA-256 of module path, limits and settings: unchanged sections keep their instance */
	char fingerprint[65];
	struct backend *inner;   /* wrapped; one reference */
	bool can_mark, can_hide; /* PM_F_CAN_MARK, PM_F_CAN_HIDE: of it and of what it wraps */
	bool can_utf8;           /* PM_F_CAN_UTF8, likewise */
	bool can_import;         /* PM_F_CAN_IMPORT, likewise */
	bool counts;             /* PM_F_COUNTS: the store checks quotas itself */
	/* storage: the disk its mail is on; NULL: not told. Never freed */
	struct volume *vol;
	struct credcache *cache;     /* auth; NULL: none is wanted */
	struct owners *owners;       /* storage; NULL: each name has a mailbox of its own */
	_Atomic int64_t tick_due_ms; /* errand_tick's; 0: at once */
	_Atomic bool ticking;        /* one tick at a time */
	_Atomic bool reloaded;       /* its next tick is to be told */
	struct failing tick_fails;   /* the tick's that is under way */
	struct backend *next_unused; /* backend_reap's list */
	/* NULL, or called once before the instance is closed: owners of anything that belongs to it
	 * release it */
	void (*closing)(struct backend *b);
};

struct backend *backend_ref(struct backend *b);
/* Any thread: the last one puts it on a list that backend_reap (main) closes. */
void backend_put(struct backend *b);
/* A reference, unless nobody holds it any more and it is about to be closed: false. Any thread. */
bool backend_try_ref(struct backend *b);
/* Main: retires and closes backends that nobody uses any more. */
void backend_reap(void);

#endif
