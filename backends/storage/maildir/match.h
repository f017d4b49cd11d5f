/* SPDX-License-Identifier: Apache-2.0 */
/* match - from file names to messages, by the ledger. */
#ifndef MAILDIR_MATCH_H
#define MAILDIR_MATCH_H

#include "ledger.h"
#include "snap.h"

/* Sorts the items, so that the files of one message, and of one base name, are neighbours. False:
 * no memory. */
bool match_sort(struct snap *s);
/* Sorts, makes one item of each message, drops deleted ones, and takes unique-ids and sizes from
 * the ledger. May be called again after items were added. */
int32_t match_run(struct snap *s, struct ledger *l);
/* True if a visible message of this name is in the snapshot. */
bool match_has(const struct snap *s, const char *name);
/* The unique-id of a message with this identity that the ledger does not know. Returns its length;
 * 0: no memory. */
size_t match_make_uidl(const char *identity, size_t n, char uidl[PM_UIDL_MAX + 1]);
bool match_own_uidl(const char *identity, size_t n, const char *uidl, size_t uidl_n);
/* True if the ledger keeps this record though its message was deleted. */
bool match_remembers(const struct ledger_message *lm, int64_t now_ms);

#endif
