/* SPDX-License-Identifier: Apache-2.0 */
/* password_impl - shared by the files of password.h. Private to the SDK. */
#ifndef SDK_PASSWORD_IMPL_H
#define SDK_PASSWORD_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "password.h"

#define PWD_WHY 128
#define PWD_PASSWORD_MAX 1024

/* A stored hash, taken apart. */
struct pwd_hash {
	char name[32];    /* scheme, as written */
	const char *data; /* after the braces */
	size_t n;
	bool hex, b64;  /* by the suffix */
	char *why;      /* PWD_WHY bytes, the caller's */
	char text[768]; /* data with a NUL; wiped by password.c */
};

struct pwd_scheme {
	const char *names; /* comma list */
	int32_t (*check)(struct pwd_hash *h, struct pm_str password,
			 const struct sdk_password_limits *l);
};

extern const struct pwd_scheme pwd_plain, pwd_crypt, pwd_argon2, pwd_digest, pwd_pbkdf2, pwd_scram;

/* True if the costs of a crypt(3) hash are within the limits. False: why is set. */
bool pwd_cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l);
int32_t pwd_scram_secret(const struct pm_call *call, struct pwd_hash *h, struct pm_secret *ret);

/* PM_CORRUPT with "{NAME}: text". */
int32_t pwd_corrupt(struct pwd_hash *h, const char *text);
/* Strict base64 with or without padding; false: not base64, or over cap. */
bool pwd_b64(const char *p, size_t n, unsigned char *out, size_t cap, size_t *ret_n);
bool pwd_hex(const char *p, size_t n, unsigned char *out, size_t cap, size_t *ret_n);
/* PM_OK or PM_DENIED, in constant time. */
int32_t pwd_same(const void *a, const void *b, size_t n);
/* Strict decimal. */
bool pwd_number(const char *p, size_t n, uint32_t *ret);

#endif
