/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_place - is the undo storage a place of its own? */
#ifndef RST_UPKEEP_SWEEP_PLACE_H
#define RST_UPKEEP_SWEEP_PLACE_H

#include "upkeep/sweep_state.h"

/* The account at hand is known to s->storage, and undo_user is set: asks both where its mailbox
 * lies, then goes on with `then`. In the same place: PM_EXISTS and a text. */
int32_t sweep_place_ask(struct sweep *s, int32_t (*then)(struct sweep *s, struct errand *e));
/* The steps of the phases PLACE and ALL_PLACES. */
int32_t sweep_place_step(struct sweep *s, struct errand *e);
int32_t sweep_place_all(struct sweep *s, struct errand *e);

#endif
