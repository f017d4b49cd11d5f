/* SPDX-License-Identifier: Apache-2.0 */
/* write_behind - writes that may come a moment later. */
#ifndef SQL_WRITE_BEHIND_H
#define SQL_WRITE_BEHIND_H

#include "sql.h"

/* These two copy their arguments. */
void write_behind_login(struct inst *i, struct pm_str user, struct pm_str id,
			const struct pm_cred *cred);
void write_behind_password(struct inst *i, struct pm_str user, struct pm_str old,
			   struct pm_str hash);
int32_t write_behind_event(void *inst, const struct pm_call *call, const struct pm_user *user,
			   uint32_t what);
int32_t write_behind_flush(struct inst *i, const struct pm_call *call);
void write_behind_free(struct inst *i);

#endif
