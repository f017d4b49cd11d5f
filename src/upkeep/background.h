/* SPDX-License-Identifier: Apache-2.0 */
/*
 * background - sweeps nobody orders: domains whose count is doubtful are counted anew, hidden mail
 * goes to the undo storage (upkeep/undo.h), what is over there is deleted.
 */
#ifndef RST_UPKEEP_BACKGROUND_H
#define RST_UPKEEP_BACKGROUND_H

#include <stdint.h>

#include "conf/conf.h"

/* Main, at start: which domains did the last server leave doubtful? */
void background_begin(struct conf *c);
/* Acceptor's tick. */
void background_tick(struct conf *c, int64_t now_ms);
/* Any thread: how many messages of the undo storage the last round kept because they do not say
 * that they were moved there. */
uint64_t background_unmarked(void);

#endif
