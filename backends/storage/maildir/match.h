/* SPDX-License-Identifier: Apache-2.0 */
/* match - file names become messages, by the ledger. */
#ifndef MAILDIR_MATCH_H
#define MAILDIR_MATCH_H

#include "ledger.h"
#include "snap.h"

/* Brings the files of one message, and of one base name, together. False: no memory. */
bool match_sort(struct snap *s);
/* Sorts, makes one item of each message, drops what is deleted, asks the ledger. May be repeated
 * when items were added. */
int32_t match_run(struct snap *s, struct ledger *l);
/* Is a message of this name, visible, in the snapshot? */
bool match_has(const struct snap *s, const char *name);
/* The unique-id a message of this identity has as long as the ledger does not know it; its
 * length, 0: no memory. */
size_t match_make_uidl(const char *identity, size_t n, char uidl[PM_UIDL_MAX + 1]);
bool match_own_uidl(const char *identity, size_t n, const char *uidl, size_t uidl_n);
/* Does the ledger keep this record, though its message was deleted? */
bool match_remembers(const struct ledger_message *lm, int64_t now_ms);

#endif
