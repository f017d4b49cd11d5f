/* SPDX-License-Identifier: Apache-2.0 */
/* names - unique-ids and marks, by the ledger. */
#ifndef MBOX_NAMES_H
#define MBOX_NAMES_H

#include "ledger.h"
#include "mbox.h"
#include "totals.h"

/* Takes unique-ids and marks from the ledger if the index has not got them; under the MTA's locks.
 */
int32_t names_give(struct mbox *m, const struct pm_call *call);
/* The present state of the ledger's file; zeroes without one. */
struct ledger_is names_ledger(const struct inst *i, const struct location *p);
/* The state of the mailbox and its ledger, for totals; without words if there is no mailbox. */
struct sdk_look names_look(const struct inst *i, const struct location *p);
#define IDENTITY_CAP 64
/* "40 hex digits.twin" */
size_t names_identity(const unsigned char *hash, uint32_t twin, char buf[IDENTITY_CAP]);
/* The number of this hash for an import that is not here: one that was never given, or its own. */
uint32_t names_for_import(struct ledger *l, const unsigned char *hash, const char *uidl);
/* Writes new messages and marks of this session to the ledger. */
void names_learnt(struct mbox *m);

#endif
