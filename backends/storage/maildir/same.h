/* SPDX-License-Identifier: Apache-2.0 */
/* same - whether two files hold the same. */
#ifndef MAILDIR_SAME_H
#define MAILDIR_SAME_H

#include <sys/stat.h>

#include "ledger.h"

struct sdk_octets;

#define SAME_UNREAD "-" /* the content of a file that cannot be read: it is a message of its own */
/* Reads the content of an open file. False: errno. */
bool same_read(int fd, char content[LEDGER_CONTENT + 1], struct sdk_octets *ret_octets);
/* True if the file of this name is one message with the open one: the same inode, or the same size
 * and bytes. fd -1: it cannot be read. */
bool same_message(int fd, const struct stat *st, int dirfd, const char *name);
/* True if this file holds the content that the ledger has of this message. */
bool same_as_known(int dirfd, const char *path, const struct ledger_message *m);

#endif
