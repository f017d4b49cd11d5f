/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kit - everything that the checks of restante-conform share. Each check runs in a process of its
 * own (run.c): it opens the instances it needs, calls the module through the descriptor's tables as
 * the server would, and either returns or ends itself with kit_fail. A crash, a hang or a
 * sanitizer's report is that check's failure only.
 *
 * Threads: the threads of a check may use everything here, but a struct box only one at a time.
 */
#ifndef CONFORM_KIT_H
#define CONFORM_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "box.h"
#include "check.h"
#include "host/answer.h"
#include "inst.h"
#include "run.h"

static inline void
map_set(uint8_t *map, uint64_t i)
{
	map[i / 8] = (uint8_t)(map[i / 8] | 1u << i % 8);
}

#endif
