/* SPDX-License-Identifier: Apache-2.0 */
/* commit - QUIT. */
#ifndef MYSQL_COMMIT_H
#define MYSQL_COMMIT_H

#include <restante/module.h>

struct db;

int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);
/* Called in a transaction: makes garbage of those of these messages for which `and` (SQL, or "")
 * holds. n <= BATCH; *ret_n: how many there were. */
int32_t commit_bury(struct db *d, const char *and, uint64_t mailbox, const uint64_t *pos, size_t n,
		    uint64_t *ret_n);

#endif
