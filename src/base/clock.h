/* SPDX-License-Identifier: Apache-2.0 */
/* clock - the only source of time for deadlines. Any thread. */
#ifndef RST_BASE_CLOCK_H
#define RST_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds on CLOCK_MONOTONIC. */
int64_t mono_ms(void);

/* Since the machine's start, times of sleep included: the wall clock's measure. */
int64_t boot_ms(void);

/* UTC, milliseconds since 1970. */
int64_t wall_ms(void);

#endif
