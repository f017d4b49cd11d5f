/* SPDX-License-Identifier: Apache-2.0 */
/* view - the messages of a session, while the file changes. */
#ifndef MBOX_VIEW_H
#define MBOX_VIEW_H

#include "mbox.h"

/* The MTA's locks, and the snapshot as the file is now: the session's messages are where they are
 * now. PM_AGAIN: not yet. The locks stay ours with PM_OK and PM_AGAIN. */
int32_t view_refresh(struct mbox *m, const struct pm_call *call);
/* Ends a refresh that returned PM_AGAIN: everything is as it was before. */
void view_abandon(struct mbox *m);
/* Is the file the one of the snapshot? */
bool view_unchanged(const struct mbox *m);
/* The snapshot was wrong: it and its index count for nothing, the next refresh reads the file. */
void view_distrust(struct mbox *m);
/* What is known of a session's message. */
struct item *view_item(const struct mbox *m, size_t k);

#endif
