/* SPDX-License-Identifier: Apache-2.0 */
/* dir - opening, making and syncing the directories of a maildir, and logging about one. */
#ifndef MAILDIR_DIR_H
#define MAILDIR_DIR_H

#include "maildir.h"

/* Opens a user's maildir, or makes it. PM_OK with *ret_fd -1: there is none. PM_PERM with a text:
 * no such path may exist, or no permission. PM_NOSPACE: no room to make it. */
int32_t dir_open(struct inst *i, const struct pm_call *call, const struct pm_user *user,
		 bool create, int *ret_fd);
/* The same by the path that sdk_path_make() made of the user. */
int32_t dir_open_path(struct inst *i, const struct pm_call *call, const char *path, bool create,
		      int *ret_fd);
/* Makes those of cur, new and tmp that are missing in an open maildir, tmp last: where tmp exists,
 * all do. False: errno. */
bool dir_fill(const struct inst *i, int fd);
/* A rename that never replaces. False: errno. */
bool dir_move(int fd, const char *from, const char *to);
/* Makes new and cur durable as they are. */
bool dir_sync(const struct inst *i, int fd);
/* Logs a text about this maildir, after its path. */
void dir_log(const struct inst *i, int fd, int32_t level, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t dir_code(int e);

#endif
