/* SPDX-License-Identifier: Apache-2.0 */
/* password - checks a password against a stored hash, as Dovecot writes them: {SCHEME}data, or a
 * bare crypt(3) hash. Used by passwd and sql. Any thread; burns CPU. */
#ifndef SDK_PASSWORD_H
#define SDK_PASSWORD_H

#include <stdint.h>

#include <restante/module.h>

/* Costs above these limits are refused before anything is computed, since a hostile table must not
 * burn hours. */
struct sdk_password_limits {
	/* sha256/512-crypt rounds, PBKDF2 and SCRAM iterations; 0 = 5,000,000 */
	uint32_t max_rounds;
	uint32_t max_log_cost;   /* bcrypt, yescrypt, scrypt: log2; 0 = 16 */
	uint32_t max_memory_kib; /* argon2, yescrypt, scrypt; 0 = 1,048,576 */
	uint32_t allow_plain;    /* {PLAIN}, {CLEARTEXT} */
};

/*
 * PM_OK: it matches; PM_DENIED: it does not (also: empty password, NUL in it, locked hash "!" "*");
 * PM_UNSUPPORTED: scheme unknown or not allowed; PM_CORRUPT: malformed or over a limit; PM_NOMEM.
 * why (>= 128 bytes) gets the scheme and the trouble, without hash or password; untouched on PM_OK
 * and PM_DENIED.
 */
int32_t sdk_password_check(struct pm_str stored, struct pm_str password,
			   const struct sdk_password_limits *limits, char *why);

/* Does as much work as checking a password against `like` (a stored hash; n = 0: sha512-crypt), for
 * unknown users. */
void sdk_password_burn(struct pm_str like, struct pm_str password,
		       const struct sdk_password_limits *limits);

/* Finds a SCRAM verifier in `stored` of the kind asked for in ret->kinds (PM_SECRET_...), copied to
 * call->alloc; PM_UNSUPPORTED: it holds none. */
int32_t sdk_password_secret(const struct pm_call *call, struct pm_str stored,
			    struct pm_secret *ret);

/* Compares n bytes in constant time: PM_OK or PM_DENIED. */
int32_t sdk_password_equal(const void *a, const void *b, size_t n);

#endif
