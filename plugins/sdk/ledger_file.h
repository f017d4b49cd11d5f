/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_file - a ledger in a file: read whole, appended to under a lock of its own (OFD),
 * rewritten by rename. fd is the directory, name the file in it. Any thread, and several processes.
 */
#ifndef SDK_LEDGER_FILE_H
#define SDK_LEDGER_FILE_H

#include <restante/module.h>

#include "ledger.h"
#include "ledger_write.h"

#define LEDGER_NAME_MAX 80

/* Reads the whole ledger; without a file it is empty. NULL: errno has the reason, EBADMSG: the file
 * is not ours. *ret_good: the end of its sound lines. *ret_bad: damaged lines before that. */
struct ledger *ledger_load(int fd, const char *name, size_t *ret_good, size_t *ret_bad);
/* The code for that errno, with a text. */
int32_t ledger_load_code(const struct pm_call *call, const char *name, int e);
/* Appends lines; the file is made when missing; durable when `sync`. 0; or an errno: nothing was
 * appended, except that after EIO the lines may be there. */
int ledger_append(int fd, const char *name, const char *text, size_t n, bool sync);
/* Rewrites the ledger: fill() puts the lines to keep after the header; l is the ledger as it is
 * now, locked; false: not now. Only the holder of the store's session lock may call it. A ledger
 * with unfinished groups is left alone; failures change nothing. */
void ledger_rewrite(int fd, const char *name, bool sync,
		    bool (*fill)(struct ledger *l, struct ledger_out *o, void *ctx), void *ctx);

#endif
