/* SPDX-License-Identifier: Apache-2.0 */
/* seed - mail to begin with. */
#ifndef RAM_SEED_H
#define RAM_SEED_H

#include <stdbool.h>
#include <stddef.h>

#include "ram.h"

/* ram->seed messages, the same in every run. False: no memory. */
bool ram_seed(struct ram *ram, struct ram_box *box);
/* The files of DIR/KEY/ as mailboxes, for open(). False: the reason is in err. */
bool ram_seed_load(struct ram *ram, const char *dir, char *err, size_t errlen);

#endif
