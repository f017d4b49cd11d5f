/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_box - a sweep's work on one mailbox: a session without a client. */
#ifndef RST_UPKEEP_SWEEP_BOX_H
#define RST_UPKEEP_SWEEP_BOX_H

#include "upkeep/sweep_state.h"

void sweep_box_free(struct sweep_box *b);
/* The account is known: asks the first question. */
int32_t sweep_box_begin(struct sweep *s, struct errand *e);
/* Begins a visit to the mailbox of s->box at its storage. */
int32_t sweep_box_visit(struct sweep *s, struct errand *e);
/* The steps of the phases STAT, OPEN, INFO, COMMIT, CLOSE. */
int32_t sweep_box_stat(struct sweep *s, struct errand *e);
int32_t sweep_box_open(struct sweep *s, struct errand *e);
int32_t sweep_box_info(struct sweep *s, struct errand *e);
int32_t sweep_box_commit(struct sweep *s, struct errand *e);
int32_t sweep_box_close(struct sweep *s, struct errand *e);
/* UNDELETE: is it one of the messages asked for? */
bool sweep_box_wants(const struct sweep *s, const struct pm_msg *m);

#endif
