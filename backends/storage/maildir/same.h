/* SPDX-License-Identifier: Apache-2.0 */
/* same - whether two files hold the same. */
#ifndef MAILDIR_SAME_H
#define MAILDIR_SAME_H

#include <sys/stat.h>

#include "ledger.h"

struct sdk_octets;

#define SAME_UNREAD "-" /* the content of a file that cannot be read: it is a message of its own */
/* What an open file holds. False: it cannot be read, errno. */
bool same_read(int fd, char content[LEDGER_CONTENT + 1], struct sdk_octets *ret_octets);
/* Is that name's file one message with this one: the same inode, or the same size and bytes? fd
 * -1: it cannot be read. */
bool same_message(int fd, const struct stat *st, int dirfd, const char *name);
/* Does that file hold what the ledger says this message's do? */
bool same_as_known(int dirfd, const char *path, const struct ledger_message *m);

#endif
