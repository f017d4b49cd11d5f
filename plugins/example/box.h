/* SPDX-License-Identifier: Apache-2.0 */
/* box - mailboxes and their messages. */
#ifndef RAM_BOX_H
#define RAM_BOX_H

#include <stdbool.h>
#include <stddef.h>

#include "ram.h"

/* The key of a user's mailbox: the one that auth gave, or the name. */
struct pm_str ram_box_key(const struct pm_user *user);

/* A message of n bytes with nothing set but n, refs = 1 and received_ms; NULL: no memory. */
struct ram_message *ram_message_new(const struct ram *ram, size_t n);
/* Octets and flags of bytes that are complete now. */
void ram_message_measure(struct ram_message *m);
bool ram_message_set_uidl(struct ram_message *m, const char *uidl, size_t n);

/* All below: under the mutex. */
void ram_message_put(struct ram_message *m);
/* The mailbox of this key, made and seeded when it is not there. NULL: no memory. */
struct ram_box *ram_box_get(struct ram *ram, struct pm_str key);
/* The same, never made. */
struct ram_box *ram_box_find(const struct ram *ram, struct pm_str key);
/* Takes over the caller's reference. The unique-id is known to be unique. False: no memory. */
bool ram_box_add(struct ram_box *box, struct ram_message *m);
bool ram_box_has_uidl(const struct ram_box *box, const char *uidl, size_t n);
/* Was it ever imported? It may be deleted by now. */
bool ram_box_imported(const struct ram_box *box, const char *uidl, size_t n);
/* False: no memory. */
bool ram_box_note_import(struct ram_box *box, const char *uidl, size_t n);
/* Lets go of the messages marked `gone`. */
void ram_box_sweep(struct ram_box *box);
void ram_boxes_free(struct ram *ram);

#endif
