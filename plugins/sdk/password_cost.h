/* SPDX-License-Identifier: Apache-2.0 */
/* password_cost - the cost of a crypt(3) hash. Private to the SDK. */
#ifndef SDK_PASSWORD_COST_H
#define SDK_PASSWORD_COST_H

#include "password_scheme.h"

/* Are the costs in this hash within the limits? False: why is set. */
bool pwd_cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l);

#endif
