/* SPDX-License-Identifier: Apache-2.0 */
/* account - logins and lookups. */
#ifndef SQL_ACCOUNT_H
#define SQL_ACCOUNT_H

#include <restante/module.h>

int32_t account_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_user *ret);
int32_t account_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_user *ret);
int32_t account_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_secret *ret_secret, struct pm_user *ret);
int32_t account_domain(void *inst, const struct pm_call *call, struct pm_str name);

#endif
