/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspect - messages that broke off while they were sent. The next session that asks for such a
 * message reads it through before it promises anything: a message that is damaged for good is then
 * an -ERR, and does not block the messages after it.
 *
 * The list is short: when it is full the oldest entry goes, a restart forgets all, and two names
 * may be taken for one. The price is one more broken connection, or a message that is read twice.
 *
 * Threads: any.
 */
#ifndef RST_POP3_SUSPECT_H
#define RST_POP3_SUSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPECTS 256

/* Identifies a mailbox by its section's name and its key there. */
uint64_t suspect_box(const char *section, const char *key, size_t n);
/* Has this mailbox any? If not, nobody needs to ask for unique-ids. */
bool suspect_any(uint64_t box);
bool suspect_has(uint64_t box, const char *uidl, size_t n);
void suspect_add(uint64_t box, const char *uidl, size_t n);
void suspect_drop(uint64_t box, const char *uidl, size_t n);

#endif
