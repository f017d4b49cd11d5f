/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_list - box_list() of a store whose mailboxes lie at a path template (path.h). The
 * directories beneath the fixed part are walked, and an entry that fits the template is a mailbox.
 * Its key is the name the template was filled with: %u, or %n@%d, or %n, or %k. Templates with %h
 * cannot be listed. Any thread.
 *
 * The order is that of a hash of the key: it is stable while mailboxes come and go, and a cursor is
 * short however long the names are. Each page walks the whole tree and keeps no more than the page
 * in memory.
 */
#ifndef SDK_PATH_LIST_H
#define SDK_PATH_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

/* True if `name` in the directory `fd` is a mailbox. */
typedef bool (*sdk_is_box)(int fd, const char *name);

/* The arguments of box_list. PM_UNSUPPORTED with a text: a template with %h. */
int32_t sdk_path_list(const char *pattern, sdk_is_box is_box, const struct pm_call *call,
		      struct pm_str cursor, size_t n, size_t stride, struct pm_box *ret,
		      size_t *ret_got);

#endif
