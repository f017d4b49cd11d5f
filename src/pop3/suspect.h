/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspect - messages that broke off while they were sent. The next session that asks for one reads
 * it through before it promises anything: a message that is damaged for good is an -ERR then, and
 * keeps nobody from the ones after it.
 *
 * Bounded and forgetful: of too many the oldest goes, a restart forgets all, and two names may be
 * taken for one. That costs a broken connection more, or reading a message twice.
 *
 * Threads: any.
 */
#ifndef RST_POP3_SUSPECT_H
#define RST_POP3_SUSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPECTS 256

/* A mailbox: its section's name and its key there. */
uint64_t suspect_box(const char *section, const char *key, size_t n);
/* Is there one in this mailbox? Else nobody needs to know unique-ids. */
bool suspect_any(uint64_t box);
bool suspect_has(uint64_t box, const char *uidl, size_t n);
void suspect_add(uint64_t box, const char *uidl, size_t n);
void suspect_drop(uint64_t box, const char *uidl, size_t n);

#endif
