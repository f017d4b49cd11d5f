/* SPDX-License-Identifier: Apache-2.0 */
/* name - the parts of a file's name. */
#ifndef MAILDIR_NAME_H
#define MAILDIR_NAME_H

#include "ledger.h"
#include "snap.h"

/* The length of the part of a name that never changes: up to ',' or ':'. */
size_t name_base_length(const char *name);
/* The identity of an item in the ledger; in buf, or among the names. */
const char *name_identity(const struct snap *s, const struct item *it, char buf[IDENTITY_CAP],
			  size_t *ret_n);
/* The ledger's message with this number, from 1 on, of a file's base name. NULL: it knows none. */
struct ledger_message *name_known(struct ledger *l, const char *name, unsigned number);
/* "new/NAME" or "cur/NAME" of an item. */
void name_path(const struct snap *s, const struct item *it, char *buf, size_t cap);
/* The leading number of a name. */
uint64_t name_arrival(const char *name);
/* The digits after ",S=" or ",W=" in a file name. False: not there. */
bool name_number(const char *name, char key, uint64_t *ret);

#endif
