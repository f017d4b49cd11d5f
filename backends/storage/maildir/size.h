/* SPDX-License-Identifier: Apache-2.0 */
/* size - Maildir++'s maildirsize. */
#ifndef MAILDIR_SIZE_H
#define MAILDIR_SIZE_H

#include <stdint.h>

/* Tells maildirsize, if there is one, of so much more (less) mail. A convenience for others:
 * failures are theirs. */
void size_add(int fd, int64_t octets, int64_t messages);

#endif
