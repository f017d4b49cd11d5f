/* SPDX-License-Identifier: Apache-2.0 */
/* size - Maildir++'s maildirsize. */
#ifndef MAILDIR_SIZE_H
#define MAILDIR_SIZE_H

#include <stdint.h>

/* Adds to maildirsize, if there is one; negative numbers subtract. Failures are ignored: nothing of
 * ours depends on it. */
void size_add(int fd, int64_t octets, int64_t messages);

#endif
