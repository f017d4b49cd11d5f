/* SPDX-License-Identifier: Apache-2.0 */
#include "password_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- hex and base64 -------------------------------------------------------------------------- */

static bool
hex_decode(const char *p, size_t n, unsigned char *out, size_t cap, size_t *ret_n)
{
	if (n % 2 != 0 || n / 2 > cap)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int hi = OPENSSL_hexchar2int((unsigned char)p[i]);
		int lo = OPENSSL_hexchar2int((unsigned char)p[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	*ret_n = n / 2;
	return true;
}

/* Strict base64 with or without padding; false: not base64, or over cap. */
static bool
b64_decode(const char *p, size_t n, unsigned char *out, size_t cap, size_t *ret_n)
{
	unsigned char text[768], raw[768];
	size_t pad = 0;
	int got;

	while (n > 0 && p[n - 1] == '=' && pad < 2) {
		n--;
		pad++;
	}
	if (n + 3 >= sizeof(text) || n % 4 == 1)
		return false;
	memcpy(text, p, n);
	for (pad = 0; (n + pad) % 4 != 0; pad++)
		text[n + pad] = '=';
	got = EVP_DecodeBlock(raw, text, (int)(n + pad)); /* strict: no white space inside */
	if (got < 0 || (size_t)got - pad > cap)
		return false;
	*ret_n = (size_t)got - pad;
	memcpy(out, raw, *ret_n);
	OPENSSL_cleanse(raw, sizeof(raw));
	return true;
}

/* ---- (salted) digests ------------------------------------------------------------------------ */

static const EVP_MD *
password_digest_digest_of(const char *name)
{
	if (strcasecmp(name, "SHA") == 0 || strcasecmp(name, "SSHA") == 0 ||
	    strcasecmp(name, "SHA1") == 0)
		return EVP_sha1();
	return strstr(name, "512") ? EVP_sha512() : EVP_sha256();
}

static int32_t
digest_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	const EVP_MD *md = password_digest_digest_of(h->name);
	size_t size = (size_t)EVP_MD_get_size(md), n = 0;
	unsigned char want[512], got[EVP_MAX_MD_SIZE];
	bool salted = strncasecmp(h->name, "SS", 2) == 0;
	/* as Dovecot does: hex when it has exactly the length of hex, otherwise base64 */
	bool hex = h->hex || (!h->b64 && !salted && h->n == 2 * size);
	EVP_MD_CTX *ctx;
	int32_t rc;

	(void)l;
	if (!(hex ? hex_decode(h->text, h->n, want, sizeof(want), &n)
		  : b64_decode(h->text, h->n, want, sizeof(want), &n)) ||
	    n < size || (!salted && n != size))
		return pwd_corrupt(h, "not a digest of its length");
	ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, password.p, password.n) != 1 ||
	    EVP_DigestUpdate(ctx, want + size, n - size) != 1 ||
	    EVP_DigestFinal_ex(ctx, got, NULL) != 1) {
		snprintf(h->why, PWD_WHY, "{%s}: OpenSSL cannot compute it", h->name);
		rc = PM_TEMP;
	} else {
		rc = pwd_same(want, got, size);
	}
	EVP_MD_CTX_free(ctx);
	OPENSSL_cleanse(got, sizeof(got));
	return rc;
}

const struct pwd_scheme pwd_digest = {"SHA,SHA1,SSHA,SHA256,SSHA256,SHA512,SSHA512", digest_check};

/* ---- PBKDF2 ---------------------------------------------------------------------------------- */

/* $1$salt$rounds$hex of 20 octets, HMAC-SHA1 */
static int32_t
pbkdf2_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	const char *salt = h->text + 3, *rounds, *hex;
	unsigned char want[64], got[64];
	size_t n = 0;
	uint32_t v;

	if (strncmp(h->text, "$1$", 3) != 0 || !(rounds = strchr(salt, '$')) ||
	    !(hex = strchr(rounds + 1, '$')))
		return pwd_corrupt(h, "expected $1$salt$rounds$hash");
	if (!pwd_number(rounds + 1, (size_t)(hex - rounds) - 1, &v) || v == 0 || v > l->max_rounds)
		return pwd_corrupt(h, "no number of rounds within the limit");
	if (!hex_decode(hex + 1, strlen(hex + 1), want, sizeof(want), &n) || n < 16)
		return pwd_corrupt(h, "the hash is not hex");
	if (PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt,
			      (int)(rounds - salt), (int)v, EVP_sha1(), (int)n, got) != 1)
		return pwd_corrupt(h, "OpenSSL cannot compute it");
	return pwd_same(want, got, n);
}

const struct pwd_scheme pwd_pbkdf2 = {"PBKDF2", pbkdf2_check};

/* ---- SCRAM verifiers (RFC 5802 s3), written iter,salt,stored,server in base64 ---------------- */

struct verifier {
	const EVP_MD *md;
	uint32_t iter;
	unsigned char salt[128], stored[64], server[64];
	size_t salt_n, stored_n, server_n;
};

static bool
verifier_read(struct pwd_hash *h, struct verifier *v)
{
	const char *salt = strchr(h->text, ','), *stored, *server;

	v->md = strstr(h->name, "256") ? EVP_sha256() : EVP_sha1();
	stored = salt ? strchr(salt + 1, ',') : NULL;
	server = stored ? strchr(stored + 1, ',') : NULL;
	return server && pwd_number(h->text, (size_t)(salt - h->text), &v->iter) && v->iter > 0 &&
	       b64_decode(salt + 1, (size_t)(stored - salt) - 1, v->salt, sizeof(v->salt),
			  &v->salt_n) &&
	       b64_decode(stored + 1, (size_t)(server - stored) - 1, v->stored, sizeof(v->stored),
			  &v->stored_n) &&
	       b64_decode(server + 1, strlen(server + 1), v->server, sizeof(v->server),
			  &v->server_n) &&
	       v->stored_n == (size_t)EVP_MD_get_size(v->md) && v->server_n == v->stored_n;
}

/* StoredKey = H(HMAC(SaltedPassword, "Client Key")) */
static bool
stored_key(const struct verifier *v, struct pm_str password, unsigned char *ret)
{
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	int size = EVP_MD_get_size(v->md);
	unsigned n = 0;
	bool ok = PKCS5_PBKDF2_HMAC(password.p, (int)password.n, v->salt, (int)v->salt_n,
				    (int)v->iter, v->md, size, salted) == 1 &&
		  HMAC(v->md, salted, size, (const unsigned char *)"Client Key", 10, client, &n) &&
		  EVP_Digest(client, n, ret, &n, v->md, NULL) == 1;

	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return ok;
}

static int32_t
scram_check(struct pwd_hash *h, struct pm_str password, const struct sdk_password_limits *l)
{
	unsigned char got[EVP_MAX_MD_SIZE];
	struct verifier v;

	if (!verifier_read(h, &v))
		return pwd_corrupt(h, "expected iterations,salt,stored-key,server-key in base64");
	if (v.iter > l->max_rounds)
		return pwd_corrupt(h, "more iterations than the limit");
	if (!stored_key(&v, password, got))
		return pwd_corrupt(h, "OpenSSL cannot compute it");
	return pwd_same(v.stored, got, v.stored_n);
}

const struct pwd_scheme pwd_scram = {"SCRAM-SHA-1,SCRAM-SHA-256", scram_check};

static struct pm_str
call_copy(const struct pm_call *call, const void *p, size_t n)
{
	char *copy = call->alloc(call, n);

	if (copy)
		memcpy(copy, p, n);
	return (struct pm_str){copy, copy ? n : 0};
}

int32_t
pwd_scram_secret(const struct pm_call *call, struct pwd_hash *h, struct pm_secret *ret)
{
	uint32_t kind = strstr(h->name, "256") ? PM_SECRET_SCRAM_SHA256 : PM_SECRET_SCRAM_SHA1;
	struct verifier v;

	if (!(ret->kinds & kind))
		return PM_UNSUPPORTED;
	if (!verifier_read(h, &v))
		return PM_CORRUPT;
	ret->kinds = kind;
	ret->iter = v.iter;
	ret->salt = call_copy(call, v.salt, v.salt_n);
	ret->stored_key = call_copy(call, v.stored, v.stored_n);
	ret->server_key = call_copy(call, v.server, v.server_n);
	return ret->salt.p && ret->stored_key.p && ret->server_key.p ? PM_OK : PM_NOMEM;
}
