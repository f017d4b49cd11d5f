/* SPDX-License-Identifier: Apache-2.0 */
/* login - one user against the servers. The functions are those of struct pm_auth. */
#ifndef LDAP_LOGIN_H
#define LDAP_LOGIN_H

#include "ask.h"

int32_t login_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		     struct pm_user *ret);
int32_t login_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		     struct pm_user *ret);

#endif
