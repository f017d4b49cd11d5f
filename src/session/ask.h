/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - a session's way into a module: a permit is asked for, the turn that has it fills a call
 * record.
 *
 *   if (task.verdict == VERDICT_NONE)
 *           return ask_permit(...);            the turn ends; the next one has an answer
 *   if (!ask_granted(...))
 *           ... rc says why not
 *   ask_call(...); rc = host_...();
 *
 * Threads: the session's owner.
 */
#ifndef RST_SESSION_ASK_H
#define RST_SESSION_ASK_H

#include "base/arena.h"
#include "module/backend.h"
#include "session/talk.h"

/* Who asks; a session holds one for each life its modules' memory may have. */
struct asker {
	struct talk *talk;
	struct arena *arena; /* where call->alloc() takes memory */
	int64_t asked_ms;
};

/* Wants a permit of b's gate. BEGIN waits as long as its gate says; CONTINUE and GIVE_BACK as
 * long as a client may be silent, or endlessly: what was promised or must go home. Returns
 * MOVE_PERMIT. */
enum move ask_permit(struct asker *a, struct backend *b, enum call_class cls, bool endlessly);

/* True: the permit is held. False: what became of it is in *ret_rc (PM_TEMP or PM_CANCELLED).
 * Time in the gate is not counted as the client's. */
bool ask_granted(struct asker *a, int32_t *ret_rc);

/* Under a permit: fills the call record and tells the watchdog. A kick cancels. */
void ask_call(struct asker *a, struct host_call *c, const char *method, int64_t ms);

/* A failed call: one line, warning; repeated failures of backends are held back. user may be NULL.
 */
void ask_log(const struct asker *a, const struct backend *b, const char *method, int32_t rc,
	     const char *text, const char *user, size_t user_n);

#endif
