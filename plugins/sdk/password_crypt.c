/* SPDX-License-Identifier: Apache-2.0 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "password_crypt.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ARGON2
#include <argon2.h>
#endif

#include "password_cost.h"

/* ---- plain ----------------------------------------------------------------------------------- */

static int32_t
plain_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	if (!l->allow_plain) {
		snprintf(h->why, PWD_WHY,
			 "{%s}: passwords in plain text are not allowed here: allow_plain = yes",
			 h->name);
		return PM_UNSUPPORTED;
	}
	return h->n == password.n ? pwd_same(h->text, password.p, h->n) : PM_DENIED;
}

const struct pwd_scheme pwd_plain = {"PLAIN,CLEARTEXT,CLEAR", plain_check};

/* ---- crypt(3) -------------------------------------------------------------------------------- */

static int32_t
crypt_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	char key[PWD_PASSWORD_MAX + 1];
	struct crypt_data *data;
	const char *made;
	int32_t rc;

	if (crypt_checksalt(h->text) == CRYPT_SALT_INVALID)
		return pwd_corrupt(h, "not a hash crypt(3) knows");
	if (!pwd_cost_ok(h, l))
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

const struct pwd_scheme pwd_crypt = {"CRYPT,DES-CRYPT,MD5-CRYPT,SHA256-CRYPT,SHA512-CRYPT,BLF-"
				     "CRYPT,BCRYPT,YESCRYPT,SCRYPT,GOST-YESCRYPT,MD5",
				     crypt_check};

/* ---- argon2 ---------------------------------------------------------------------------------- */

#ifdef HAVE_ARGON2
/* $argon2id$v=19$m=65536,t=3,p=1$...: the costs are in the hash. */
static bool
argon2_cost_ok(struct pwd_hash *h, const struct sdk_password_limits *l)
{
	const char *m = strstr(h->text, "m="), *t = strstr(h->text, ",t="),
		   *p = strstr(h->text, ",p=");
	uint32_t kib, passes, lanes;

	if (!m || !t || !p || !pwd_number(m + 2, strcspn(m + 2, ","), &kib) ||
	    !pwd_number(t + 3, strcspn(t + 3, ","), &passes) ||
	    !pwd_number(p + 3, strcspn(p + 3, "$"), &lanes)) {
		(void)pwd_corrupt(h, "not an argon2 hash");
		return false;
	}
	if (kib > l->max_memory_kib || passes > 64 || lanes > 16 ||
	    (uint64_t)kib * passes > (uint64_t)l->max_memory_kib * 8) {
		snprintf(h->why, PWD_WHY, "{%s}: m=%u,t=%u,p=%u is above the limits", h->name, kib,
			 passes, lanes);
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
	snprintf(h->why, PWD_WHY, "{%s}: this build has no argon2; configure --with-argon2",
		 h->name);
	return PM_UNSUPPORTED;
}
#endif

const struct pwd_scheme pwd_argon2 = {"ARGON2,ARGON2I,ARGON2ID,ARGON2D", argon2_check};
