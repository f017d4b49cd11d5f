/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - how long mail is kept: `expire` and `undo`, for the site, a domain, a user.
 *
 * expire = client  the client decides (DELE and QUIT): the default
 *          0       a message that was fully RETRieved is deleted by the QUIT of that session, never
 *                  otherwise (RFC 1939 section 8; RFC 2449: EXPIRE 0)
 *          N       N days after it was first retrieved (and that session's QUIT), at a QUIT or by
 *                  restantectl expire. Needs a store that keeps marks (PM_F_CAN_MARK).
 * undo   = N       deleted messages are hidden for N days and can be restored by restantectl
 *                  undelete; 0: not. Needs a store that hides (PM_F_CAN_HIDE). Hidden messages do
 *                  not count against quotas.
 *
 * A user without the right to delete expires nothing. This file only chooses; deleting is
 * mbox_commit's. Pure.
 */
#ifndef RST_MAILBOX_RETENTION_H
#define RST_MAILBOX_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "conf/conf.h"

struct retention {
	int32_t expire_days; /* 0, N, PM_EXPIRE_CLIENT */
	int32_t undo_days;
};

/* The settings that apply to a user: pm_user, else the domain's block, else the site. u->name is
 * complete. */
void retention_of(const struct conf *c, const struct pm_user *u, struct retention *ret);

/* Must the dates of all messages be asked before a commit? (expire = N) */
bool retention_wants_dates(const struct retention *r, const struct pm_user *u);
/* expire = 0: are the messages that this session retrieved to be deleted? */
bool retention_on_retrieval(const struct retention *r, const struct pm_user *u);
/* Is a message first retrieved then (0: never) due now? A date before its arrival was written by a
 * clock that was wrong: the arrival counts. UTC; now_ms 0: nothing is due (base/clock_note.h). Only
 * for expire = N, N > 0. */
bool retention_due(const struct retention *r, int64_t first_retrieved_ms, int64_t received_ms,
		   int64_t now_ms);
/* pm_commit.keep_until_ms of a deletion now; 0: at once. */
int64_t retention_keep_until(const struct retention *r, bool can_hide, int64_t now_ms);

/*
 * The value of EXPIRE in CAPA (RFC 2449 section 6.7), or false: no EXPIRE line.
 * u NULL: before login: the most restrictive that any user may have, with " USER" when they may
 * differ. ret at least 24 bytes: "NEVER", "0", "30 USER".
 */
bool retention_capa(const struct conf *c, const struct pm_user *u, char *ret, size_t cap);

/*
 * Contradictions between a storage section and the settings of the site and of the domains whose
 * users it has: expire = N without PM_F_CAN_MARK, undo without PM_F_CAN_HIDE. flags: of the
 * section's module and of the one it wraps. A user's own setting (from a directory) that its store
 * cannot keep is ignored; see retention_fit.
 */
void retention_check(const struct conf *c, const struct conf_section *storage, uint32_t flags,
		     struct conf_errors *e);
/* Drops settings that this store cannot keep. False: one was dropped, which is worth a line in the
 * log. */
bool retention_fit(struct retention *r, bool can_mark, bool can_hide);

#endif
