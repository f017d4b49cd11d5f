/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller - the one way into a module, for sessions and errands alike: a permit of the section's
 * gate is asked for, the turn that has it makes the call.
 *
 * Work that needs a module is a function that is entered again after every wait:
 *
 *   rc = caller_enter(c, backend, CALL_CONTINUE, "mbox_info", limits.scan_ms, &call);
 *   if (rc == PM_AGAIN)
 *           return ...;                   the turn ends here; the function is entered again
 *   if (rc == PM_OK)
 *           rc = caller_done(c, host_mbox_info(..., &call, ...));
 *
 * Handles of modules are given back whatever happens: the function that takes one counts it in
 * `holds`, and gives it back under caller_enter_home, as post (mailbox/post.h) and visit
 * (mailbox/visit.h) do.
 *
 * A permit is good for the rest of the turn: a second caller_enter for the same section goes on
 * under it, one for another section asks and waits. Work in slices gives it back in between
 * (caller_ask), so that others have their turn.
 *
 * Threads: the owner of the task. No call here blocks.
 */
#ifndef RST_MODULE_CALLER_H
#define RST_MODULE_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "module/backend.h"
#include "work/task.h"

/* The party that calls; one for each lifetime that the memory of its calls may have. */
struct caller {
	struct task *task;
	struct arena *arena; /* where call->alloc() takes memory */
	unsigned unwanted;   /* NOTE_...: any of these cancels a call */
	int64_t until_ms;    /* any permit is waited for until then; 0: as follows */
	/* CONTINUE and GIVE_BACK wait so long, BEGIN as long as its gate allows */
	int64_t patience_ms;
	/* all wait as long as it takes: a promise was made, or a handle must be given back */
	bool endless;
	/* handles to give back: until then nobody ends this work from outside */
	unsigned holds;
};

/* Kicked, or the server ends, or its time (until_ms) is over: it should give back its handles. */
bool caller_should_end(const struct caller *c);

/* Asks for a permit of b's gate, even if this turn holds one: the turn ends now. Returns
 * PM_AGAIN. */
int32_t caller_ask(struct caller *c, struct backend *b, enum call_class cls);

/* The permit of b's gate. PM_OK: this turn holds it; PM_AGAIN: it was asked for, the turn ends;
 * PM_TEMP: it did not come in time, PM_CANCELLED: the task was kicked while it waited. */
int32_t caller_permit(struct caller *c, struct backend *b, enum call_class cls);

/* caller_permit, then the call begins: *call is filled, its deadline ms from now, and the watchdog
 * knows of it. Not PM_OK: call->error says why there was no permit; of PM_AGAIN and
 * PM_CANCELLED nothing. */
int32_t caller_enter(struct caller *c, struct backend *b, enum call_class cls, const char *method,
		     int64_t ms, struct host_call *call);

/* caller_ask for a step that is done however long it takes. Returns PM_AGAIN. */
int32_t caller_ask_home(struct caller *c, struct backend *b);

/* caller_enter for a step that is done however long it takes: a handle is given back, a commit that
 * was begun is ended. PM_OK or PM_AGAIN. */
int32_t caller_enter_home(struct caller *c, struct backend *b, const char *method, int64_t ms,
			  struct host_call *call);

/* Tells the breaker the result of the call. Returns rc. */
int32_t caller_done(struct caller *c, int32_t rc);

/* A failed call: one line, warning; repeated failures of backends are held back. user may be NULL.
 */
void caller_log(const struct caller *c, const struct backend *b, const char *method, int32_t rc,
		const char *text, const char *user, size_t user_n);

#endif
