/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_impl - what the files of Badmail share.
 *
 * badmail_store.c  items on disk, totals, bounds      badmail_item.c   the sidecar
 * badmail_count.c  counting anew                      badmail_watch.c  who waits for retries, and
 *                  which there are
 * badmail_resolve.c  whose mail it is by now
 * badmail.c        writing, the door                  badmail_retry.c  ticks and retries
 * badmail_admin.c  restantectl badmail              badmail_metrics.c  what metrics tell
 */
#ifndef RST_BADMAIL_BADMAIL_IMPL_H
#define RST_BADMAIL_BADMAIL_IMPL_H

#include <stdio.h>

#include "account/find.h"
#include "badmail/badmail.h"
#include "base/statefile.h"
#include "module/errand.h"

#define BADMAIL_MAGIC "rstbadml"
#define BADMAIL_OVERHEAD 1024 /* octets an item counts beside its message: the sidecar */
#define BADMAIL_PATH_MAX (PM_PATH_MAX + 64)

/* What a process was doing under the lock. Taking out has a reason, and each its counters, so
 * that they are right whoever finishes it. */
enum badmail_pending {
	PENDING_NONE,
	PENDING_INSERT,
	PENDING_REMOVE, /* by an operator, or never promised */
	PENDING_DROP,   /* too many octets */
	PENDING_CROWD,  /* too many items */
	PENDING_EXPIRE, /* over age */
	PENDING_DELIVER /* a retry brought it to its mailboxes */
};

struct badmail_state {
	struct statefile_head head;
	uint64_t boot; /* statefile_boot of the last change; another one: counted anew */
	uint64_t next_id;
	struct {
		uint64_t items, octets;
		uint64_t first; /* no item has a lower ID */
	} cls[2];               /* by enum badmail_class */
	uint64_t dropped, dropped_octets, expired, crowded, delivered, door_closed;
	uint64_t pending_id, pending_octets;
	uint32_t pending, pending_class; /* enum badmail_pending, enum badmail_class */
	/* bit 0: the store is at 80 %; bit 1: RETRY at 80 % of its half */
	uint32_t warned;
	uint32_t pad;
};

/* ---- badmail_store.c: all but *_path under the state's lock ---------------------------------- */

/* An open store: locked between badmail_store_lock and badmail_store_unlock. One owner. */
struct badmail_store {
	const struct conf_badmail *conf;
	int fd;
	struct badmail_state s;
};

/* Locks, makes what is missing, cleans up after a process that died. PM_OK, or
 * PM_TEMP/PM_PERM/PM_NOSPACE with a text (200 bytes, may be NULL). */
int32_t badmail_store_lock(const struct conf *c, struct badmail_store *st, char *text);
/* Writes the totals and unlocks. False: they could not be written (counted anew by the next). */
bool badmail_store_unlock(struct badmail_store *st);

const char *badmail_class_name(enum badmail_class cls); /* "retry" "refused" */
void badmail_place_item(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
			const char *suffix, char *buf, size_t cap);
void badmail_place_tmp(const struct conf_badmail *b, uint64_t serial, const char *suffix, char *buf,
		       size_t cap);
/* "r1f", "x20": at most 16 characters. */
void badmail_id_format(enum badmail_class cls, uint64_t id, char buf[17]);
bool badmail_id_parse(const char *text, enum badmail_class *cls, uint64_t *id);

/* The first item at or behind `id`. False: none. Looks at names, not into files. No lock is
 * needed for a look. */
bool badmail_place_next(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
			uint64_t end, uint64_t *ret_id);
/* Octets an item counts, and when its message was written; false: it is not there. */
bool badmail_place_stat(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
			uint64_t *octets, int64_t *time_ms);
/* Moves a finished message (hard link) and its sidecar in. Room is made first. *ret_id. */
int32_t badmail_store_insert(struct badmail_store *st, enum badmail_class cls, const char *eml,
			     const char *json, uint64_t octets, uint64_t *ret_id, char *text);
/* Takes an item out; why: PENDING_REMOVE and what follows it. True: it was there and is gone. */
bool badmail_store_remove(struct badmail_store *st, enum badmail_class cls, uint64_t id,
			  enum badmail_pending why);
/* When the oldest item of a class came, UTC ms; 0: there is none. */
int64_t badmail_store_oldest_ms(struct badmail_store *st, enum badmail_class cls);
/* Drops REFUSED items over age, at most `max`. Returns how many. */
unsigned badmail_store_expire(struct badmail_store *st, unsigned max);
/* Would a RETRY item of so many octets pass half of the bound? */
bool badmail_store_retry_full(const struct conf_badmail *b, const struct badmail_state *s,
			      uint64_t octets);
/* A directory's names, durable. */
bool badmail_place_sync(const char *path);
bool badmail_place_there(const char *path);

/* ---- badmail_count.c ------------------------------------------------------------------------- */

/* Totals from what is on disk. Under the lock. */
void badmail_count(struct badmail_store *st);
/* Files of tmp/ whose process has ended. */
void badmail_place_sweep_tmp(const struct conf_badmail *b);

/* ---- badmail_item.c -------------------------------------------------------------------------- */

/* The sidecar of a new item; NULL: no memory. */
json_t *badmail_item_json(const struct badmail_item *item, uint64_t octets, int64_t now_ms,
			  int64_t next_ms);
/* Reads and checks a sidecar; NULL: not there, or none of ours. Counts into *read when it was
 * looked at. */
json_t *badmail_item_load(const struct conf_badmail *b, enum badmail_class cls, uint64_t id);
/* The same from memory. Pure; the fuzz target. */
json_t *badmail_item_parse(const char *text, size_t n);
/* Writes a sidecar to a file of tmp/, durable, its mtime the time of the next try. 0 or errno. */
int badmail_item_write(const json_t *j, const char *path, int64_t next_ms);
/* Text of a field, "" if missing. */
const char *badmail_item_text(const json_t *j, const char *key);
/* Is it in one of the lists: "recipients", "names", "delivered" (accounts that have the
 * message)? */
bool badmail_item_has(const json_t *j, const char *list, const char *text);
/* The domain of the sender, lower-case; "<>" for the null path. */
void badmail_item_sender_domain(const json_t *j, char *buf, size_t cap);

/* ---- badmail.c ------------------------------------------------------------------------------- */

/* What the door and the metrics go by. */
void badmail_seen_remember(const struct badmail_state *s);
void badmail_seen_remember_oldest(const int64_t ms[2]);
/* False: nothing is known yet. Asks nobody. oldest_ms: by class, UTC, up to a second old; 0:
 * none. */
bool badmail_seen_get(struct badmail_state *ret, int64_t ret_oldest_ms[2]);
uint64_t badmail_place_serial(void);
/* Says when the store fills, once. Under the lock. */
void badmail_store_warn(struct badmail_store *st);

/* ---- badmail_watch.c ------------------------------------------------------------------------- */

/* Someone who waits for retries: the admin thread. */
struct badmail_watch;
struct badmail_watch *badmail_watch_new(void);
/* One more retry that it waits for, and its end. w may be NULL. */
void badmail_watch_add(struct badmail_watch *w);
void badmail_watch_tell(struct badmail_watch *w, bool done);
/* Waits until all that were started with it have ended, at most ms; then gives it back.
 * *ret_done, *ret_failed: items that were delivered, and that were not; those that are still at
 * work are neither. */
void badmail_watch_wait(struct badmail_watch *w, int64_t ms, unsigned *ret_done,
			unsigned *ret_failed);

/* Items at work. False: it is already, or as many as may be are. */
bool badmail_busy_take(enum badmail_class cls, uint64_t id);
bool badmail_busy_has(enum badmail_class cls, uint64_t id);
void badmail_busy_end(enum badmail_class cls, uint64_t id);

/* ---- badmail_resolve.c ----------------------------------------------------------------------- */

/* Who gets a recipient's mail now. One owner. */
struct badmail_resolve {
	struct find find;            /* of an alias the target's turn */
	json_t *targets;             /* the alias'; NULL: it is none */
	size_t at;                   /* which of them */
	json_t *addresses;           /* result, for an alias: what Delivered-To says */
	json_t *names;               /* ... and the accounts; else find.who.name is the one */
	char text[PM_ERROR_MAX + 1]; /* why not */
};

/* r is zeroed; name: normalised. */
void badmail_resolve_begin(struct badmail_resolve *r, struct conf *c, const char *name);
/* Entered from the errand's run until it returns anything but PM_AGAIN. PM_OK; else r->text has why
 * not. */
int32_t badmail_resolve_step(struct badmail_resolve *r, struct errand *e);
/* An alias was found: its targets take the place of recipient `at` of the item; who is among the
 * recipients already is not there twice. False: no memory, and the item in memory is not to be
 * used. */
bool badmail_resolve_put(const struct badmail_resolve *r, json_t *item, size_t at);
void badmail_resolve_fini(struct badmail_resolve *r);

/* ---- badmail_retry.c ------------------------------------------------------------------------- */

/* Tries one item now, in the background; false: it is being tried already, or there is no slot.
 * watch may be NULL. */
bool badmail_retry_start(struct conf *c, enum badmail_class cls, uint64_t id,
			 struct badmail_watch *watch);

#endif
