/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_file - a ledger in a file: read whole, appended to under a lock of its own (OFD),
 * rewritten by rename. fd is the directory, name the file in it. Any thread; processes too.
 */
#ifndef SDK_LEDGER_FILE_H
#define SDK_LEDGER_FILE_H

#include <restante/module.h>

#include "ledger.h"

#define LEDGER_NAME_MAX 80

/* The whole ledger, empty without a file; NULL: errno says why, EBADMSG: the file is none of
 * ours. *ret_good: the end of its sound lines. *ret_bad: damaged lines before that. */
struct ledger *ledger_load(int fd, const char *name, size_t *ret_good, size_t *ret_bad);
/* The code for that errno, with a text. */
int32_t ledger_load_code(const struct pm_call *call, const char *name, int e);
/* Appends lines (the file is made when missing); durable when `sync`. 0 or an errno: then
 * nothing was appended; EIO: it may have been. */
int ledger_append(int fd, const char *name, const char *text, size_t n, bool sync);
/* Rewrites it: fill() puts what is to stay, behind the header; l is the ledger as it is now,
 * locked; false: not now. Only the store's session lock holder may. A ledger with unfinished
 * groups is left alone; failures change nothing. */
void ledger_rewrite(int fd, const char *name, bool sync,
		    bool (*fill)(struct ledger *l, struct ledger_out *o, void *ctx), void *ctx);

#endif
