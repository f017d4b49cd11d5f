/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_list - from mailbox to mailbox, several side by side. Threads: as in sweep_state.h. */
#ifndef RST_UPKEEP_SWEEP_LIST_H
#define RST_UPKEEP_SWEEP_LIST_H

#include "upkeep/sweep_state.h"

/* How many mailboxes of a section with so many permits may be at work side by side. */
unsigned sweep_lanes(uint32_t permits);

/* Begins with the first page, by this lane alone. False: there is no section to list. */
bool sweep_list_first(struct sweep *s);
/* The phases SWEEP_LIST, and what follows a mailbox: the next one, the next page, or the end. */
int32_t sweep_list_step(struct sweep *s, struct errand *e);
int32_t sweep_list_go_on(struct sweep *s, struct errand *e);
/* Whose mailbox is it? box.name is set. */
int32_t sweep_list_lookup(struct sweep *s);
/* Counts the result of the mailbox at hand. */
void sweep_list_count(struct sweep *s, const struct errand *e, int32_t rc);
/* It gave way to a login: at the end it is visited once more. False: it is not. */
bool sweep_list_again(struct sweep *s);
void sweep_list_free(struct sweep_round *r);

#endif
