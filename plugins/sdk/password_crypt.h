/* SPDX-License-Identifier: Apache-2.0 */
/* password_crypt - hashes that libxcrypt and libargon2 check, and plain text. Private to the
 * SDK. */
#ifndef SDK_PASSWORD_CRYPT_H
#define SDK_PASSWORD_CRYPT_H

#include "password_scheme.h"

extern const struct pwd_scheme pwd_plain, pwd_crypt, pwd_argon2;

#endif
