/* SPDX-License-Identifier: Apache-2.0 */
/* row - from a row of a result to an account. */
#ifndef SQL_ROW_H
#define SQL_ROW_H

#include "sql.h"

struct sql_result;

/* Fills an account from a row of query_user, or of query_passwords, by the names of its columns.
 * PM_OK, or PM_TEMP or PM_NOMEM with the text in call->error. Strings are in the call's memory. */
int32_t row_user(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
		 struct pm_user *u);
int32_t row_password(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
		     uint32_t row, struct pm_user *u);

#endif
