/* SPDX-License-Identifier: Apache-2.0 */
/* password_scheme - a stored hash taken apart, a scheme that checks it, and small helpers of all
 * schemes. Private to the SDK. */
#ifndef SDK_PASSWORD_SCHEME_H
#define SDK_PASSWORD_SCHEME_H

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
	bool hex, b64;  /* from the suffix of the scheme's name */
	char *why;      /* PWD_WHY bytes, the caller's */
	char text[768]; /* data with a NUL; wiped by password.c */
};

struct pwd_scheme {
	const char *names; /* comma list */
	int32_t (*check)(struct pwd_hash *h, struct pm_str password,
			 const struct sdk_password_limits *l);
};

/* PM_CORRUPT with "{NAME}: text". */
int32_t pwd_corrupt(struct pwd_hash *h, const char *text);
/* PM_OK or PM_DENIED, in constant time. */
int32_t pwd_same(const void *a, const void *b, size_t n);
/* Strict decimal. */
bool pwd_number(const char *p, size_t n, uint32_t *ret);

#endif
