/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry - which session of this process holds which maildrop, and taking over.
 *
 * Rule: a newcomer from the same address takes over after takeover_ms of silence, if the holder has
 * no DELE pending. The holder gets NOTE_TAKEOVER and decides for itself; the newcomer waits parked
 * for at most 5 s until the holder has released it. Everybody else: [IN-USE].
 *
 * The server's own work in a maildrop (a sweep, a move) claims it as well, and never waits for it.
 * A session that comes meanwhile is not told [IN-USE]: it waits parked, for at most 2 s, and the
 * holder, which asks registry_is_wanted after each slice, gives way.
 * Threads: any; 16 shards with a mutex each, never held while waking.
 */
#ifndef RST_MAILBOX_REGISTRY_H
#define RST_MAILBOX_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "work/slot.h"

struct registry_entry; /* the holder's; opaque */

void registry_init(void);
void registry_fini(void);

enum registry_answer {
	REGISTRY_MINE, /* claimed: registry_release must follow */
	/* the holder was asked to leave: park; NOTE_WAKE comes when it has left; claim again */
	REGISTRY_WAIT,
	/* the background holds it, and gives way: park, as after WAIT */
	REGISTRY_SOON,
	REGISTRY_HELD, /* [IN-USE] */
	REGISTRY_NOMEM,
};

/*
 * section, key   the maildrop.
 * me, peer_key   the session that claims it.
 * may_wait       false: claimed again after the wait ran out; then HELD instead of WAIT or SOON.
 */
enum registry_answer registry_claim(const char *section, const char *key, size_t key_n,
				    slot_token me, uint64_t peer_key, int64_t takeover_ms,
				    int64_t now_ms, bool may_wait, struct registry_entry **ret);

/* For the server's own work: MINE, HELD (by anybody, or kept for a session that waits) or NOMEM. */
enum registry_answer registry_claim_background(const char *section, const char *key, size_t key_n,
					       slot_token me, struct registry_entry **ret);
/* Such a holder: does a session wait for it? Cheap. NULL: no. */
bool registry_is_wanted(const struct registry_entry *e);

/* Holder, after each command: its last byte and whether deletions are pending. Cheap. */
void registry_touch(struct registry_entry *e, int64_t now_ms, bool pending_dele);

/* Holder, on NOTE_TAKEOVER: has it been silent long enough to leave? The holder itself decides. */
bool registry_should_yield(struct registry_entry *e, int64_t takeover_ms, int64_t now_ms);

/* Holder, after mbox_close returned: the maildrop is free; a waiting session is woken. NULL is
 * fine. */
void registry_release(struct registry_entry *e);
/* A waiter gives up. */
void registry_cancel(const char *section, const char *key, size_t key_n, slot_token me);

/* Is this maildrop open in a session? For restantectl user. ret_holder may be NULL. */
bool registry_is_open(const char *section, const char *key, size_t key_n, slot_token *ret_holder);

#endif
