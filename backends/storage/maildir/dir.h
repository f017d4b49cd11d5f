/* SPDX-License-Identifier: Apache-2.0 */
/* dir - the directories of a maildir. */
#ifndef MAILDIR_DIR_H
#define MAILDIR_DIR_H

#include "maildir.h"

/* Opens (creates) a user's maildir. *ret_fd -1 with PM_OK: there is none. PM_PERM with a text:
 * no such path may exist, or no permission. PM_NOSPACE: no room to create it. */
int32_t dir_open(struct inst *i, const struct pm_call *call, const struct pm_user *user,
		 bool create, int *ret_fd);
/* Makes what is missing of cur, new and tmp in an open maildir, tmp last: where tmp is, all are.
 * False: errno. */
bool dir_fill(const struct inst *i, int fd);
/* A rename that never replaces. False: errno. */
bool dir_move(int fd, const char *from, const char *to);
/* new and cur as they are, durable. */
bool dir_sync(const struct inst *i, int fd);
/* PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t dir_code(int e);

#endif
