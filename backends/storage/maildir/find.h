/* SPDX-License-Identifier: Apache-2.0 */
/* find - one message among the files. */
#ifndef MAILDIR_FIND_H
#define MAILDIR_FIND_H

#include "ledger.h"
#include "snap.h"

/* Adds the files of new and cur that wanted() wants by their names; one that moves meanwhile may
 * come twice. False: errno. */
bool find_files(int fd, bool (*wanted)(const char *name, void *ctx), void *ctx, struct snap *s);
/* Tells fn, which says false, each name in tmp, new and cur: at least once, also of a file that
 * moves on meanwhile. False: errno. */
bool find_names(int fd, bool (*fn)(const char *name, void *ctx), void *ctx);
/* The file of an item, found again by base name and inode after ENOENT. False: gone. */
bool find_again(int fd, struct snap *s, struct item *it);
/* Is there a file the ledger does not know whose unique-id is this? Reads both directories. */
bool find_unseen(int fd, struct ledger *l, const char *uidl, size_t n);

#endif
