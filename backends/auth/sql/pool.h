/* SPDX-License-Identifier: Apache-2.0 */
/* pool - one statement, on whatever server answers in time. */
#ifndef SQL_POOL_H
#define SQL_POOL_H

#include "sql.h"

struct sql_result;

/* Runs one statement on a server that answers in time. Reads are repeated once, and so are writes:
 * those of this module may happen twice. PM_OK fills *r. PM_NOENT, of a read: the
 * database cannot compare the name with its own, so nobody has it; *r is empty. Otherwise the
 * operator's text is in call->error. */
int32_t pool_run(struct inst *i, const struct pm_call *call, enum sql_which which,
		 const struct pm_str *args, struct sql_result *r);
bool pool_has(const struct inst *i, enum sql_which which);
/* Asks servers that were down whether they are back. */
void pool_revive(struct inst *i, int64_t deadline_ms);

#endif
