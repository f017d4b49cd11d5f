/* SPDX-License-Identifier: Apache-2.0 */
/* clock_watch - a look at the clocks once a minute (base/clock_note.h). */
#ifndef RST_UPKEEP_CLOCK_WATCH_H
#define RST_UPKEEP_CLOCK_WATCH_H

#include <stdint.h>

#include "conf/conf.h"

/* Main, before threads: a first look, so that nothing is deleted by a clock that is wrong. May
 * block on the disk. */
void clock_watch_begin(struct conf *c);
/* Acceptor's tick, cheap. */
void clock_watch_tick(struct conf *c, int64_t now_ms);

#endif
