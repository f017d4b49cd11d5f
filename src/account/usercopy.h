/* SPDX-License-Identifier: Apache-2.0 */
/* usercopy - an account with all its strings in one piece of memory. Pure. */
#ifndef RST_ACCOUNT_USERCOPY_H
#define RST_ACCOUNT_USERCOPY_H

#include <stddef.h>

#include <restante/module.h>

/* Bytes user_pack needs; SIZE_MAX: more than can be. */
size_t user_bytes(const struct pm_user *u);

/* *ret becomes u, whatever it points to copied to mem (user_bytes(u), aligned for pointers). u and
 * ret may not overlap. */
void user_pack(const struct pm_user *u, void *mem, struct pm_user *ret);

#endif
