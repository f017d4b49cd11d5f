/* SPDX-License-Identifier: Apache-2.0 */
/* find - finding one message among the files. */
#ifndef MAILDIR_FIND_H
#define MAILDIR_FIND_H

#include "ledger.h"
#include "snap.h"

/* Adds the files of new and cur whose names wanted() accepts; one that moves meanwhile may come
 * twice. False: errno. */
bool find_files(int fd, bool (*wanted)(const char *name, void *ctx), void *ctx, struct snap *s);
/* Calls fn, which returns false, with each name in tmp, new and cur: at least once, even if the
 * file moves on meanwhile. False: errno. */
bool find_names(int fd, bool (*fn)(const char *name, void *ctx), void *ctx);
/* Finds the file of an item again, after ENOENT, by base name and inode. False: it is gone. */
bool find_again(int fd, struct snap *s, struct item *it);
/* True if there is a file with this unique-id that the ledger does not know. Reads both
 * directories. */
bool find_unseen(int fd, struct ledger *l, const char *uidl, size_t n);

#endif
