/* SPDX-License-Identifier: Apache-2.0 */
/* password_digest - hashes that OpenSSL computes: (salted) SHA, PBKDF2, SCRAM verifiers.
 * Private to the SDK. */
#ifndef SDK_PASSWORD_DIGEST_H
#define SDK_PASSWORD_DIGEST_H

#include "password_scheme.h"

extern const struct pwd_scheme pwd_digest, pwd_pbkdf2, pwd_scram;

/* sdk_password_secret of a {SCRAM-...} hash. */
int32_t pwd_scram_secret(const struct pm_call *call, struct pwd_hash *h, struct pm_secret *ret);

#endif
