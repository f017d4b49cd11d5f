/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend - one auth or storage section, bound: module instance and gate. Shared by the snapshots
 * that have the same section; closed on the main thread after the last one is gone. Badmail and the
 * looks at volumes have one without a module (inst NULL): their permits count like all others.
 */
#ifndef RST_CORE_BACKEND_H
#define RST_CORE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "host/call.h"
#include "work/gate.h"

struct credcache; /* core/credcache.h */

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
	_Atomic int64_t tick_due_ms; /* errand_tick's; 0: at once */
	_Atomic bool ticking;        /* one tick at a time */
	struct backend *next_unused; /* backend_reap's list */
	struct backend *next_cached; /* backend_forget's list, the newest first */
	uint64_t cache_serial;
};

struct backend *backend_ref(struct backend *b);
/* Any thread: the last one puts it on a list that backend_reap (main) closes. */
void backend_put(struct backend *b);
/* Main, once, before it is shared: it has a cache, of which backend_forget is to know. */
void backend_add_cache(struct backend *b, struct credcache *c);
/* Any thread: forgets cached credentials of a user (empty name: of all) that came from this
 * section, directly or through one that wraps it; NULL: from any. */
void backend_forget(const char *section, struct pm_str name);
/* Main: retires and closes what nobody uses any more. */
void backend_reap(void);

#endif
