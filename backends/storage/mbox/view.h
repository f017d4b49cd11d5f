/* SPDX-License-Identifier: Apache-2.0 */
/* view - the messages of a session, while the file changes. */
#ifndef MBOX_VIEW_H
#define MBOX_VIEW_H

#include "mbox.h"

/* Takes the MTA's locks and a snapshot of the file as it is now: after that the session's messages
 * are known at their present places. PM_AGAIN: not yet. With PM_OK and PM_AGAIN the locks are held.
 */
int32_t view_refresh(struct mbox *m, const struct pm_call *call);
/* Ends a refresh that returned PM_AGAIN: everything is as before. */
void view_abandon(struct mbox *m);
/* True if the file is that of the snapshot. */
bool view_unchanged(const struct mbox *m);
/* Forgets a snapshot that was wrong, and its index: the next refresh reads the file. */
void view_distrust(struct mbox *m);
/* The item of a session's message. */
struct item *view_item(const struct mbox *m, size_t k);

#endif
