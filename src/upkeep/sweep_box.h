/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_box - what a sweep does with one mailbox: a session without a client. */
#ifndef RST_UPKEEP_SWEEP_BOX_H
#define RST_UPKEEP_SWEEP_BOX_H

#include "upkeep/sweep_state.h"

void sweep_box_free(struct sweep_box *b);
/* The account is known: what is asked first. */
int32_t sweep_box_begin(struct sweep *s, struct errand *e);
/* Begins a visit to the mailbox of s->box at its storage. */
int32_t sweep_box_visit(struct sweep *s, struct errand *e);
/* The steps of the phases STAT, OPEN, INFO, COMMIT, CLOSE. */
int32_t sweep_box_stat(struct sweep *s, struct errand *e);
int32_t sweep_box_open(struct sweep *s, struct errand *e);
int32_t sweep_box_info(struct sweep *s, struct errand *e);
int32_t sweep_box_commit(struct sweep *s, struct errand *e);
int32_t sweep_box_close(struct sweep *s, struct errand *e);
/* UNDELETE: is it one of those that are asked for? */
bool sweep_box_wants(const struct sweep *s, const struct pm_msg *m);

#endif
