/* SPDX-License-Identifier: Apache-2.0 */
/*
 * background - sweeps that nobody orders: domains whose count is doubtful are counted again, hidden
 * mail goes to the undo storage (upkeep/undo.h), and mail whose time is over is deleted there.
 */
#ifndef RST_UPKEEP_BACKGROUND_H
#define RST_UPKEEP_BACKGROUND_H

#include <stdint.h>

#include "conf/conf.h"

/* Main, at start: which domains did the last server leave doubtful? */
void background_begin(struct conf *c);
/* Acceptor's tick. */
void background_tick(struct conf *c, int64_t now_ms);
/* Any thread: how many messages of the undo storage the last round kept because they have no mark
 * of having been moved there. */
uint64_t background_unmarked(void);

#endif
