/* SPDX-License-Identifier: Apache-2.0 */
#include "password_scheme.h"

#include <openssl/crypto.h>
#include <stdio.h>

int32_t
pwd_corrupt(struct pwd_hash *h, const char *text)
{
	snprintf(h->why, PWD_WHY, "{%s}: %s", h->name, text);
	return PM_CORRUPT;
}

int32_t
pwd_same(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0 ? PM_OK : PM_DENIED;
}

bool
pwd_number(const char *p, size_t n, uint32_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*ret = (uint32_t)v;
	return v <= UINT32_MAX;
}
