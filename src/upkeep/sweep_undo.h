/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_undo - the undo storage in a sweep: hidden mail is moved there, is restored from there, and
 * is deleted there when its time is over. */
#ifndef RST_UPKEEP_SWEEP_UNDO_H
#define RST_UPKEEP_SWEEP_UNDO_H

#include "upkeep/sweep_state.h"

/* The mailbox at hand was closed, all went well: goes on in the undo storage, if there is work. */
int32_t sweep_undo_next(struct sweep *s);
/* CARRY: the account is known. */
int32_t sweep_undo_begin(struct sweep *s);
/* The step of the phase TRANSFER. */
int32_t sweep_undo_transfer(struct sweep *s, struct errand *e);
/* A mailbox in the list of the undo storage: its name (false: not a name), and its turn. */
bool sweep_undo_name(struct sweep *s, const char *key, size_t n);
int32_t sweep_undo_box(struct sweep *s, struct errand *e);
/* Is this message of the undo storage to be deleted: was it moved there, and is its time over?
 * Counts messages that are not known to have been moved there. */
bool sweep_undo_due(struct sweep *s, const struct pm_msg *m);

#endif
