/* SPDX-License-Identifier: Apache-2.0 */
/* lease - the exclusive maildrop, held or wanted. */
#ifndef MYSQL_LEASE_H
#define MYSQL_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "ids.h"

struct db;
struct inst;

struct lease {
	uint64_t mailbox;
	uint8_t owner[ID]; /* random */
	uint64_t fence;    /* held: ours; otherwise its value at the last look */
	bool looked;       /* nothing was asked for since */
	bool asked;        /* it may be ours, even if no answer told so */
	bool held;
};

void lease_init(struct lease *l, uint64_t mailbox);
/* Work: PM_OK, PM_BUSY. May be repeated. */
int32_t lease_take(struct db *d, struct inst *i, struct lease *l);
/* Work: gives it back, and makes sure that it will not become ours by a statement that is still
 * under way somewhere. */
int32_t lease_drop(struct db *d, uint64_t mailbox, const uint8_t *owner, uint64_t fence);
/* Never fails: a lease that cannot be given back now is owed. */
void lease_give(struct inst *i, const struct pm_call *call, struct lease *l);

#endif
