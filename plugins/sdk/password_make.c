/* SPDX-License-Identifier: Apache-2.0 */
#include "password_make.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY 128

/* The name of a scheme in the table, and its prefix in crypt(3). */
static const struct scheme {
	const char *name, *braces, *prefix;
} schemes[] = {
	{"sha512-crypt", "{SHA512-CRYPT}", "$6$"},
	{"yescrypt", "{YESCRYPT}", "$y$"},
	{"bcrypt", "{BLF-CRYPT}", "$2b$"},
};

static const struct scheme *
password_make_find(const char *name)
{
	for (size_t k = 0; k < sizeof(schemes) / sizeof(schemes[0]); k++)
		if (strcmp(schemes[k].name, name) == 0)
			return &schemes[k];
	return NULL;
}

/* Makes a salt with its parameters, by the system's randomness. */
static bool
password_make_setting(const struct scheme *s, uint32_t cost, char out[CRYPT_GENSALT_OUTPUT_SIZE])
{
	return s && crypt_gensalt_rn(s->prefix, cost, NULL, 0, out, CRYPT_GENSALT_OUTPUT_SIZE) &&
	       out[0] != '*';
}

bool
sdk_password_can(const char *scheme, uint32_t cost)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];

	return password_make_setting(password_make_find(scheme), cost, salt);
}

bool
sdk_password_is(struct pm_str stored, const char *scheme, uint32_t cost)
{
	const char *close =
		stored.n > 0 && stored.p[0] == '{' ? memchr(stored.p, '}', stored.n) : NULL;
	const char *hash = close ? close + 1 : stored.p, rounds[] = "rounds=";
	size_t n = stored.n - (size_t)(hash - stored.p), head;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!password_make_setting(password_make_find(scheme), cost, salt))
		return false;
	head = (size_t)(strrchr(salt, '$') - salt) + 1; /* all but the salt itself */
	if (n < head || memcmp(hash, salt, head) != 0)
		return false;
	/* "$6$salt" has the default cost, "$6$rounds=1000$salt" does not */
	return n < head + sizeof(rounds) - 1 ||
	       memcmp(hash + head, rounds, sizeof(rounds) - 1) != 0;
}

int32_t
sdk_password_make(const char *scheme, uint32_t cost, struct pm_str password, char *out, size_t cap,
		  char *why)
{
	const struct scheme *s = password_make_find(scheme);
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], key[CRYPT_MAX_PASSPHRASE_SIZE + 1];
	struct crypt_data *data;
	const char *made;
	int32_t rc = PM_OK;

	if (!password_make_setting(s, cost, salt)) {
		snprintf(why, WHY, "%s with cost %u cannot be computed here", scheme, cost);
		return PM_UNSUPPORTED;
	}
	if (password.n == 0 || password.n >= sizeof(key) || memchr(password.p, '\0', password.n)) {
		snprintf(why, WHY, "a password of %zu bytes, or with a NUL, cannot be hashed",
			 password.n);
		return PM_INVALID;
	}
	data = calloc(1, sizeof(*data));
	if (!data) {
		snprintf(why, WHY, "no memory");
		return PM_NOMEM;
	}
	memcpy(key, password.p, password.n);
	key[password.n] = '\0';
	made = crypt_r(key, salt, data);
	if (!made || made[0] == '*' || (size_t)snprintf(out, cap, "%s%s", s->braces, made) >= cap) {
		snprintf(why, WHY, "%s failed", scheme);
		rc = PM_UNSUPPORTED;
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return rc;
}
