/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes that libxcrypt and libargon2 check, and plain text. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ARGON2
#include <argon2.h>
#endif

#include "password_impl.h"

/* ---- plain ----------------------------------------------------------------------------------- */

static int32_t
plain_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	if (!l->allow_plain) {
		snprintf(h->why, PWD_WHY, "{%s}: passwords in plain text are not allowed here: allow_plain = yes", h->name);
		return PM_UNSUPPORTED;
	}
	return h->n == password.n ? pwd_same(h->text, password.p, h->n) : PM_DENIED;
}

const struct pwd_scheme pwd_plain = {"PLAIN,CLEARTEXT,CLEAR", plain_check};

/* ---- crypt(3) -------------------------------------------------------------------------------- */

/* The cost a hash names: rounds=N, or the log2 of bcrypt, yescrypt and scrypt. */
static bool
cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l)
{
	const char *rounds = strstr(h->text, "$rounds=");
	const char *t = h->text;
	uint32_t v;

	if (rounds && (!pwd_number(rounds + 8, strcspn(rounds + 8, "$"), &v) || v > l->max_rounds)) {
		snprintf(h->why, PWD_WHY, "{%s}: more than %u rounds", h->name, l->max_rounds);
		return false;
	}
	/* $2b$NN$ */
	if (strncmp(t, "$2", 2) == 0 && strlen(t) > 6 && (!pwd_number(t + 4, 2, &v) || v > l->max_log_cost)) {
		snprintf(h->why, PWD_WHY, "{%s}: a cost above %u", h->name, l->max_log_cost);
		return false;
	}
	/* $y$ and $gy$ parameters, $7$N: the second character counts N = 2^(value + 1), "./0-9A-Za-z" */
	if (strncmp(t, "$y$", 3) == 0 || strncmp(t, "$gy$", 4) == 0 || strncmp(t, "$7$", 3) == 0) {
		static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
		const char *param = strchr(t + 1, '$') + 1;
		char c = t[1] == '7' ? param[0] : param[0] ? param[1] : '\0';
		const char *at = c ? strchr(digits, c) : NULL;

		if (!at || (uint32_t)(at - digits) + 1 > l->max_log_cost + 2) {
			snprintf(h->why, PWD_WHY, "{%s}: a cost above %u", h->name, l->max_log_cost);
			return false;
		}
	}
	/* $sha1$rounds$, $md5,rounds=N$: SunMD5 */
	if (strncmp(t, "$sha1$", 6) == 0 && (!pwd_number(t + 6, strcspn(t + 6, "$"), &v) || v > l->max_rounds)) {
		snprintf(h->why, PWD_WHY, "{%s}: more than %u rounds", h->name, l->max_rounds);
		return false;
	}
	if (strncmp(t, "$md5,rounds=", 12) == 0 &&
	    (!pwd_number(t + 12, strcspn(t + 12, "$"), &v) || v > l->max_rounds)) {
		snprintf(h->why, PWD_WHY, "{%s}: more than %u rounds", h->name, l->max_rounds);
		return false;
	}
	return true;
}

static int32_t
crypt_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	char key[PWD_PASSWORD_MAX + 1];
	struct crypt_data *data;
	const char *made;
	int32_t rc;

	if (crypt_checksalt(h->text) == CRYPT_SALT_INVALID)
		return pwd_corrupt(h, "not a hash crypt(3) knows");
	if (!cost_ok(h, l))
		return PM_CORRUPT;
	if (password.n > CRYPT_MAX_PASSPHRASE_SIZE)
		return PM_DENIED;
	data = calloc(1, sizeof(*data));
	if (!data) {
		snprintf(h->why, PWD_WHY, "no memory");
		return PM_NOMEM;
	}
	memcpy(key, password.p, password.n);
	key[password.n] = '\0';
	made = crypt_r(key, h->text, data);
	if (!made || made[0] == '*')
		rc = pwd_corrupt(h, "crypt(3) cannot compute it");
	else if (strlen(made) != h->n) /* "restante" would pass for a DES salt */
		rc = pwd_corrupt(h, "not a whole hash of crypt(3)");
	else
		rc = pwd_same(made, h->text, h->n);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return rc;
}

const struct pwd_scheme pwd_crypt = {
	"CRYPT,DES-CRYPT,MD5-CRYPT,SHA256-CRYPT,SHA512-CRYPT,BLF-CRYPT,BCRYPT,YESCRYPT,SCRYPT,GOST-YESCRYPT,MD5",
	crypt_check};

/* ---- argon2 ---------------------------------------------------------------------------------- */

#ifdef HAVE_ARGON2
/* $argon2id$v=19$m=65536,t=3,p=1$...: the costs stand in the hash. */
static bool
argon2_cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l)
{
	const char *m = strstr(h->text, "m="), *t = strstr(h->text, ",t="), *p = strstr(h->text, ",p=");
	uint32_t kib, passes, lanes;

	if (!m || !t || !p || !pwd_number(m + 2, strcspn(m + 2, ","), &kib) ||
	    !pwd_number(t + 3, strcspn(t + 3, ","), &passes) || !pwd_number(p + 3, strcspn(p + 3, "$"), &lanes)) {
		(void)pwd_corrupt(h, "not an argon2 hash");
		return false;
	}
	if (kib > l->max_memory_kib || passes > 64 || lanes > 16 || (uint64_t)kib * passes > (uint64_t)l->max_memory_kib * 8) {
		snprintf(h->why, PWD_WHY, "{%s}: m=%u,t=%u,p=%u is above the limits", h->name, kib, passes, lanes);
		return false;
	}
	return true;
}

static int32_t
argon2_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	argon2_type type = strncmp(h->text, "$argon2id$", 10) == 0 ? Argon2_id
			   : strncmp(h->text, "$argon2i$", 9) == 0 ? Argon2_i
								   : Argon2_d;
	int rc;

	if (type == Argon2_d && strncmp(h->text, "$argon2d$", 9) != 0)
		return pwd_corrupt(h, "not an argon2 hash");
	if (!argon2_cost_ok(h, l))
		return PM_CORRUPT;
	rc = argon2_verify(h->text, password.p, password.n, type);
	if (rc == ARGON2_OK)
		return PM_OK;
	if (rc == ARGON2_VERIFY_MISMATCH)
		return PM_DENIED;
	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR) {
		snprintf(h->why, PWD_WHY, "no memory for argon2");
		return PM_NOMEM;
	}
	return pwd_corrupt(h, argon2_error_message(rc));
}
#else
static int32_t
argon2_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	(void)password;
	(void)l;
	snprintf(h->why, PWD_WHY, "{%s}: this build has no argon2; configure --with-argon2", h->name);
	return PM_UNSUPPORTED;
}
#endif

const struct pwd_scheme pwd_argon2 = {"ARGON2,ARGON2I,ARGON2ID,ARGON2D", argon2_check};
