/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_list - box_list() of a store whose mailboxes lie at a path template (path.h). The
 * directories beneath the fixed part are walked, and an entry that fits the template is a mailbox.
 * Its key is the name the template was filled with: %u, or %n@%d, or %n, or %k. Templates with %h
 * cannot be listed.
 *
 * The order is that of a hash of the key: it is stable while mailboxes come and go, and a cursor is
 * short however long the names are. A walk keeps a window of keys, the next SDK_LIST_WINDOW of
 * them, for the pages that follow: n mailboxes in pages of any size cost n / SDK_LIST_WINDOW + 1
 * walks, and each mailbox is looked at once. A list that nobody goes on with is forgotten after ten
 * minutes; its cursors stay good.
 *
 * Threads: any. During a walk no lock is held.
 */
#ifndef SDK_PATH_LIST_H
#define SDK_PATH_LIST_H

#include <stddef.h>

#include <restante/module.h>

#define SDK_LIST_WINDOW 65536 /* keys: less than 10 MB of memory while a list is under way */

/* 1 if `name` in the directory `fd` is a mailbox, 0 if not, -1 and errno if that cannot be told. */
typedef int (*sdk_is_box)(int fd, const char *name);

struct sdk_lists; /* the lists under way, of one instance */

/* NULL: no memory. */
struct sdk_lists *sdk_lists_new(const struct pm_host *host, size_t window);
void sdk_lists_free(struct sdk_lists *l); /* NULL is allowed */

/* The arguments of box_list, PM_AGAIN included. PM_UNSUPPORTED with a text: a template with %h.
 * PM_TEMP with a text: a directory or an entry that cannot be looked at, since a list without it
 * would be taken for all. A directory that the server has no right to read is left out, and
 * logged. */
int32_t sdk_path_list(struct sdk_lists *l, const char *pattern, sdk_is_box is_box,
		      const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
		      struct pm_box *ret, size_t *ret_got);

#endif
