/* SPDX-License-Identifier: Apache-2.0 */
/* password_make - makes hashes with libcrypt's own salts and parameters. Any thread; burns CPU. */
#ifndef SDK_PASSWORD_MAKE_H
#define SDK_PASSWORD_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

/* scheme: "sha512-crypt", "yescrypt", "bcrypt"; cost: crypt_gensalt(3)'s count, 0 = libcrypt's
 * default. */
bool sdk_password_can(const char *scheme, uint32_t cost);
/* True if this stored hash already has that scheme and cost. */
bool sdk_password_is(struct pm_str stored, const char *scheme, uint32_t cost);
/* Writes "{SCHEME}hash" and a NUL to out. PM_OK; PM_UNSUPPORTED, PM_INVALID (empty, NUL, too long)
 * or PM_NOMEM: why (>= 128 bytes) without the password. */
int32_t sdk_password_make(const char *scheme, uint32_t cost, struct pm_str password, char *out,
			  size_t cap, char *why);

#endif
